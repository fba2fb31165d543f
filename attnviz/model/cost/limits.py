"""Refuse texts that can't be run before they are: too few positions, or too little memory."""

from __future__ import annotations

from attnviz.attention import memory
from attnviz.attention.memory import in_words, too_large
from attnviz.checkpoint import Checkpoint
from attnviz.encoding import minimum_tokens
from attnviz.errors import InputError, ModelError
from attnviz.model import overview
from attnviz.model.backends import Options, available_devices
from attnviz.model.cost.estimates import estimate_cost

_FEW = 1000
"""The number of tokens that fit wherever the model does, so that memory is not estimated for them."""


def free_device_memory(options: Options) -> int | None:
    """Return the free bytes on the device of ``options``; None if unknown."""
    device = options.device or "cpu"
    return memory.free_memory(available_devices()[0] if device == "auto" else device)


def require_text_fits(
    checkpoint: Checkpoint, options: Options, text: str, limit: int | None, *, truncate: bool = False
) -> None:
    """Raise for a text that is far too long, before it is encoded, which may take minutes.

    Raises:
        InputError: the text has more tokens than the model takes (unless ``truncate``), or than there is memory for.
    """
    tokens = minimum_tokens(checkpoint.tokenizer, text)
    if limit is not None and tokens > limit and not truncate:
        raise InputError(
            f"the text has more than {tokens:,} tokens, the model takes {limit:,}",
            hint="Shorten the text, or cut it with `truncate`.",
        )
    require_memory(checkpoint, options, min(tokens, limit) if limit is not None else tokens)


def require_memory(checkpoint: Checkpoint, options: Options, tokens: int, target: int | None = None) -> None:
    """Raise if a run of ``tokens`` tokens (and a decoder's ``target``) needs more memory than is free beside the model.

    Raises:
        InputError: with both numbers.
    """
    free = free_device_memory(options) if max(tokens, target or 0) > _FEW else None
    if free is None:
        return
    try:
        shape = overview.checkpoint_shape(checkpoint)
    except ModelError:  # a config that does not say how many heads there are
        return
    needed = estimate_cost(shape, tokens, bytes_=options.dtype.itemsize, target=target)
    taken = needed.activations + needed.kept
    if taken > free:
        raise too_large(
            tokens,
            "its run",
            f"{in_words(taken)} beside the model",
            f"{in_words(free)} are free",
            hint=f"Give a shorter text. To see what a text costs: attnviz cost --tokens {tokens}",
        )
