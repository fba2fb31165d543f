"""Open a model's config, tensors and tokenizer: the default model, a folder, the Hub, a GGUF file, or memory."""

from attnviz.checkpoint.chat import chat_text
from attnviz.checkpoint.digest import digest, raw_bytes, revision
from attnviz.checkpoint.files import quiet_transformers
from attnviz.checkpoint.folder import DEFAULT, Checkpoint, open_checkpoint
from attnviz.checkpoint.gguf.opening import open_gguf
from attnviz.checkpoint.memory import TrackedTensors, open_in_memory, refresh, stored_tensors

__all__ = [
    "DEFAULT",
    "Checkpoint",
    "TrackedTensors",
    "chat_text",
    "digest",
    "open_checkpoint",
    "open_gguf",
    "open_in_memory",
    "quiet_transformers",
    "raw_bytes",
    "refresh",
    "revision",
    "stored_tensors",
]
