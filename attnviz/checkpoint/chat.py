"""Chat templates: write a user's message in the form that a chat model was trained on."""

from __future__ import annotations

from pathlib import Path

from attnviz.checkpoint.files import quiet_transformers
from attnviz.checkpoint.folder import Checkpoint, load_transformers_tokenizer
from attnviz.checkpoint.sandbox import SandboxLimitError, run_sandboxed
from attnviz.encoding import require_text
from attnviz.errors import ModelError, UsageError


def chat_text(checkpoint: Checkpoint, text: str) -> str:
    """Format ``text`` as a user's message with the model's chat template, up to where the answer begins.

    The result already contains its special tokens: encode it with ``marks=False``. The template is a program from the
    checkpoint, so transformers renders it in a sandbox.

    Raises:
        InputError: ``text`` is blank.
        UsageError: the model has no chat template.
        ModelError: the template fails, or takes too much time or memory.
    """
    require_text(text)
    chat = checkpoint.chat
    tokenizer = load_transformers_tokenizer(chat) if isinstance(chat, Path) else chat
    if not getattr(tokenizer, "chat_template", None):
        hint = "Give it the text without a chat, or take the model's variant for chats (…-it, …-Instruct, …-chat)."
        if "/" in checkpoint.name:
            hint += f"\nIf the Hub has a template that is not cached, fetch it: hf download {checkpoint.name}"
        raise UsageError(f"{checkpoint.name} has no chat template: it was not made for chats", hint=hint)
    message = [{"role": "user", "content": text}]
    try:
        with quiet_transformers():
            return run_sandboxed(
                lambda: str(tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False))
            )
    except (RuntimeError, SandboxLimitError) as error:  # a template is a program, and may fail in any way
        raise ModelError(
            f"the chat template of {checkpoint.name} can't be rendered ({error})",
            hint="Give it the text without a chat.",
        ) from error
