"""Where a model comes from: the bundled default one, a folder, the Hub and its cache, a GGUF file, or memory."""

from attnviz.checkpoint.chat import chat_text
from attnviz.checkpoint.digest import digest, raw, revision
from attnviz.checkpoint.files import quiet_transformers
from attnviz.checkpoint.folder import DEFAULT, Checkpoint, open_checkpoint
from attnviz.checkpoint.gguf import open_gguf
from attnviz.checkpoint.memory import Remembering, adopt, looked_at_anew

__all__ = [
    "DEFAULT",
    "Checkpoint",
    "Remembering",
    "adopt",
    "chat_text",
    "digest",
    "looked_at_anew",
    "open_checkpoint",
    "open_gguf",
    "quiet_transformers",
    "raw",
    "revision",
]
