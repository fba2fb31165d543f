"""Open a folder that holds a peft adapter (such as LoRA), together with the model that its config names."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnviz.checkpoint.config_limits import require_sizes
from attnviz.checkpoint.file_limits import DOWNLOAD_AGAIN, require_regular_files
from attnviz.checkpoint.files import load_by_transformers
from attnviz.checkpoint.folder import (
    ADAPTER,
    VOCABULARIES,
    Checkpoint,
    locate,
    open_tokenizer,
    read_config,
    tokenizer_settings,
)
from attnviz.checkpoint.memory import open_in_memory
from attnviz.encoding import read_languages
from attnviz.errors import ModelError

_TASKS = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
}
"""The transformers class for each task type of an adapter's config; AutoModel for all others."""


def open_adapter(name: str, folder: Path, said: Mapping[str, Any]) -> Checkpoint:
    """Open the adapter in ``folder`` on top of its base model.

    Args:
        name: the name to show.
        folder: the folder that holds the adapter.
        said: the adapter's config, from adapter_config.json.

    Raises:
        ModelError: peft is not installed, the base model is not found, or adapter and model do not fit.
    """
    base, method = said.get("base_model_name_or_path"), str(said.get("peft_type"))
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder / ADAPTER} does not name its base model", hint=DOWNLOAD_AGAIN)
    about = f"{name} is an adapter ({method}) for the model {base}"
    try:
        import peft
    except ImportError:
        raise ModelError(
            f"{about}, and peft is not installed",
            hint="Install it: python -m pip install 'attnviz[peft]'; or merge the two: model.merge_and_unload()",
        ) from None
    try:
        revision = said.get("revision")
        _, place = locate(base, revision if isinstance(revision, str) and not Path(base).is_dir() else None)
        require_regular_files(place)
        own = any((folder / file).is_file() for file in ("tokenizer.json", *VOCABULARIES))
        texts, config = folder if own else place, read_config(place)
        require_sizes(config)
        tokenizer = open_tokenizer(texts, config)
    except ModelError as error:
        error.message = f"{about}: {error.message}"
        raise
    import transformers

    loader = getattr(transformers, _TASKS.get(str(said.get("task_type")), "AutoModel"))
    model = load_by_transformers(place, loader.from_pretrained, dtype="auto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft uses names that older versions of transformers had
        adapted = load_by_transformers(
            folder, lambda path, **_: peft.PeftModel.from_pretrained(model, str(path)).eval()
        )
    found = open_in_memory(adapted, tokenizer)
    languages = read_languages(found.tokenizer, tokenizer_settings(texts), found.config, found.generation)
    return replace(found, name=name, chat=texts, languages=languages)
