"""A tour of all model types of transformers: a tiny random model of each that reads text is made, saved, and run."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import transformers
from filelock import FileLock
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

import attnviz
from attnviz.checkpoint import open_checkpoint
from attnviz.errors import UnsupportedModel
from attnviz.model.backends import Options, open_by_transformers
from attnviz.model.hosted import choose_backend
from attnviz.model.overview import overview
from attnviz.model.toured import FILE
from tests import tiny
from tests.model.tiny_configs import CARE, NOT_TEXT, SIZES, Care

TASKS = ("SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "CAUSAL_LM")
TEXT = "The bank approved the loan."
TARGET = "The loan of it."

_OTHER_INPUTS = re.compile(r"pixel|image|visual_feats|audio|waveform|input_(features|values)")
_OTHER_PARTS = re.compile(r"vision|image|audio|speech|video|vq|protein")

Row = dict[str, Any]


def model_types() -> dict[str, str]:
    """The types that the auto classes load, each with the class that people have: with a head where there is one."""
    found: dict[str, str] = {}
    mappings = [getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES") for task in TASKS]
    for mapping in (*mappings, modeling_auto.MODEL_MAPPING_NAMES):
        for kind, name in mapping.items():
            found.setdefault(kind, name if isinstance(name, str) else name[0])
    return dict(sorted(found.items()))


def is_text(kind: str) -> bool:
    """Whether models of the type read text alone, as their class and their config say."""
    if kind in NOT_TEXT:
        return False
    model = getattr(transformers, model_types()[kind], None)
    try:
        takes = inspect.signature(model.forward).parameters  # type: ignore[union-attr]
    except (AttributeError, ImportError):  # what is named is not there, or needs a package that is not
        return False
    parts = [name for name in getattr(CONFIG_MAPPING[kind], "sub_configs", ()) if _OTHER_PARTS.search(name)]
    reads = "input_ids" in takes and model.main_input_name == "input_ids"  # type: ignore[union-attr]
    return reads and not parts and not any(map(_OTHER_INPUTS.search, takes))


def tiny_config(kind: str) -> Any:
    """A tiny config of a model type."""
    made, care = CONFIG_MAPPING[kind], CARE.get(kind, Care(""))
    return made(**(({} if care.alone else sizes(made())) | dict(care.config)))


def sizes(config: Any) -> dict[str, Any]:
    said = config.to_dict()
    found = {name: value for name, value in SIZES.items() if name in said}
    for name in getattr(config, "sub_configs", {}) or {}:
        part = getattr(config, name, None)
        if isinstance(part, transformers.PreTrainedConfig):
            found[name] = sizes(part)
    return found


def visit(kind: str, folder: Path) -> Row:
    """Make a tiny model of the type in ``folder``, and say how attnviz runs it.

    Raises:
        AssertionError: the check fails, or what runs it is not what ``attnviz models`` foresees.
    """
    name = model_types()[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what transformers says of tiny configs is none of ours
        model = getattr(transformers, name)(tiny_config(kind))
        tiny.save(folder, model, scale=CARE.get(kind, Care("")).scale)
        kept = model.config.model_type
        return {"class": name} | _run(folder) | ({} if kept == kind else {"saved_as": kept})


def _run(folder: Path) -> Row:
    planned = overview(open_checkpoint(folder))
    try:
        mine = attnviz.load(folder)
        target = TARGET if "cross" in mine.backend.kinds else None
        mine.attend(TEXT, target=target)
    except UnsupportedModel as error:
        reason = error.message.removeprefix(f"{folder.name}: ")
        assert (planned.backend, planned.reason) == ("not at all", f"{reason}.")
        return {"backend": "refused", "reason": reason}
    assert planned.backend == mine.backend.name
    if mine.backend.name == "hosted":  # what its class declares is what a run shows
        assert choose_backend(open_by_transformers(mine.checkpoint, Options()), unmodified=False).name == "hosted"
    if mine.backend.name == "observed":
        return {"backend": "observed", "reason": mine.backend.layout_note}
    check = mine.check(TEXT, target=target)
    assert check.passed, check
    return {"backend": mine.backend.name, "heads": check.heads, "apart": check.max_abs_diff}


def read_tour() -> dict[str, Any]:
    """What the last tour found."""
    said: dict[str, Any] = (
        json.loads(FILE.read_bytes()) if FILE.exists() else {"transformers": "", "text": {}, "other": []}
    )
    return said


def write_row(kind: str, row: Row | None) -> None:
    """Note what was found of a type, at once; None for one that does not read text alone."""
    with FileLock(Path(tempfile.gettempdir(), f"{FILE.name}.lock")):
        said = read_tour()
        known = model_types()
        text = {name: each for name, each in said["text"].items() if name in known and name != kind}
        other = {name for name in said["other"] if name in known and name != kind}
        text, other = (text, other | {kind}) if row is None else (text | {kind: row}, other)
        said = {"transformers": transformers.__version__, "text": text, "other": sorted(other)}
        FILE.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")
