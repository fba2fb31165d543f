"""``load``: a model is opened, wherever it is."""

from __future__ import annotations

import os
from typing import Any

from attnviz.checkpoint import DEFAULT, open_checkpoint, open_gguf, open_in_memory
from attnviz.errors import UsageError
from attnviz.interface.model import Model


def load(
    model: str | os.PathLike[str] | tuple[Any, Any] = DEFAULT,
    *,
    revision: str | None = None,
    gguf: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    source_lang: str | None = None,
    target_lang: str | None = None,
) -> Model:
    """Load a model: the default one, a folder or GGUF file, a Hub id (at ``revision``), or (transformers model,
    tokenizer).

    Args:
        gguf: a GGUF file, alone or in the folder or Hub repository ``model``.
        dtype: float32, float64, bfloat16 or float16.
        device: cpu, cuda, cuda:1, mps, or auto for the fastest; None is the CPU, or where your own model is.
        trust_remote_code: let transformers run code that the checkpoint brings along.
        source_lang, target_lang: of a translation model, the codes of the languages of the text and of the target, as
            its tokenizer writes them; None is what the tokenizer's settings say. The first also chooses among the parts
            that a model has for languages, such as adapters.

    Raises:
        ModelError: it can't be found or read.
        UsageError: an unknown type, device or language; or the model needs to know one that nothing says.
    """
    from attnviz.model.backends import read_options

    options = read_options(dtype, device, trust_remote_code=trust_remote_code)
    if not isinstance(model, str | os.PathLike):
        if not isinstance(model, tuple) or len(model) != 2:
            raise UsageError(
                f"a {type(model).__name__} is given, expected a model's name or folder, or (model, tokenizer)",
                hint="Of a model in memory both are needed: attnviz.load((model, tokenizer))",
            )
        checkpoint = open_in_memory(*model)
    elif gguf is not None:
        checkpoint = open_gguf(gguf, model, revision)
    else:
        checkpoint = open_checkpoint(model, revision)
    return Model(checkpoint.with_languages(source_lang, target_lang), options)
