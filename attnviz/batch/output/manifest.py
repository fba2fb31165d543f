"""``run.json``: the inputs and options of a run, enough to repeat it, and its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from attnviz.batch.output.columns import TABLE_NAMES
from attnviz.batch.output.writers import WRITERS
from attnviz.errors import UsageError
from attnviz.record.schemas import VERSIONS

FILE = "run.json"
_FORMAT = f"attnviz.run/{VERSIONS['run']}"
_PACKAGES = ("attnviz", "numba", "numpy", "tokenizers", "torch", "transformers")
"""Packages whose version can change a figure."""
RESULTS = ("summary.json", "summary.parquet", "heads.png", "report.html")
"""The files that a run writes beside its tables."""
FOLDERS = tuple(f"{table}.{suffix}" for suffix in WRITERS for table in TABLE_NAMES)
"""The folders that a run writes the parts of its tables to."""
_NUMBERS = ("device", "dtype")
"""How it is computed, which the user may say."""


@dataclass(frozen=True)
class Identity:
    """All that the rows of the tables depend on, beside the texts.

    ``digest`` is that of the checkpoint's files. ``options`` are by the names of their flags in Python;
    one that is None is not given.
    """

    model: str
    revision: str | None
    digest: str
    dtype: str
    device: str
    versions: Mapping[str, str]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """The content of ``run.json``.

    Args:
        identity: all that the rows depend on.
        facts: the inputs, counts, times, the verdict of the check, the command line.
        complete: whether the run has ended.
        files: the files beside the tables that it wrote, or is about to write.
        folders: the folders of its parts.
        parts: the number of parts that it wrote, or is about to write, in each folder.
    """

    identity: Identity
    facts: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    parts: int = 0

    def noting(self, *, complete: bool | None = None, **facts: Any) -> Manifest:
        """The manifest with these ``facts`` added or replaced."""
        return replace(self, facts={**self.facts, **facts}, complete=self.complete if complete is None else complete)


def versions() -> dict[str, str]:
    """The versions of the packages that compute."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # not all are needed everywhere
            continue
    return found


def to_json(manifest: Manifest) -> bytes:
    """The content of ``run.json``."""
    content = {
        "format": _FORMAT,
        "schema_version": VERSIONS["run"],
        "complete": manifest.complete,
        **asdict(manifest.identity),
        "wrote": {"files": manifest.files, "folders": manifest.folders, "parts": manifest.parts},
        "facts": dict(manifest.facts),
    }
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()


def from_json(content: bytes, name: str) -> Manifest:
    """Read what ``to_json`` wrote from a file that is shown as ``name``.

    Raises:
        UsageError: it is damaged, of another version of attnviz, or not of a run.
    """
    hint = "Give another folder; nothing in this one was changed."
    try:
        read = json.loads(content)
        kind = str(read["format"])
        if kind == _FORMAT:
            return Manifest(_identity(read), dict(read["facts"]), read["complete"] is True, *_wrote(read["wrote"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        wrong = f"{type(error).__name__}: {error}"
        raise UsageError(f"{name} is not what a run of attnviz wrote ({wrong})", hint=hint) from None
    raise UsageError(f"{name} has the format {kind!r}, this version of attnviz knows {_FORMAT!r}", hint=hint)


def _wrote(read: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """What a run wrote. Only names that a run gives are accepted, since these files may be deleted."""
    files, folders, parts = tuple(read["files"]), tuple(read["folders"]), read["parts"]
    strange = [name for name in files if name not in RESULTS] + [name for name in folders if name not in FOLDERS]
    if strange or type(parts) is not int or parts < 0:
        raise ValueError(f"no run writes {strange[0] if strange else parts!r}")
    return files, folders, parts


def _identity(read: Mapping[str, Any]) -> Identity:
    texts = {name: str(read[name]) for name in ("model", "digest", "dtype", "device")}
    revision = None if read["revision"] is None else str(read["revision"])
    return Identity(revision=revision, versions=dict(read["versions"]), options=dict(read["options"]), **texts)


def differences(old: Identity, new: Identity) -> list[str]:
    """The differences between two identities in words; empty if both make the same rows."""
    # As they read back from a file, in which a tuple is a list.
    before, now = (json.loads(json.dumps(asdict(identity))) for identity in (old, new))
    found = []
    if before["digest"] != now["digest"]:  # a model is its files, wherever they lie now
        if before["model"] != now["model"]:
            found.append(f"the model was {before['model']}, is {now['model']}")
        else:
            commits = f": {before['revision']} then, {now['revision']} now" if now["revision"] else ""
            found.append(f"the files of the model {now['model']} are others{commits}")
    for shown, was, is_ in (
        ("`{}`", {name: before[name] for name in _NUMBERS}, {name: now[name] for name in _NUMBERS}),
        ("`{}`", before["options"], now["options"]),
        ("the version of {}", before["versions"], now["versions"]),
    ):
        changed = [name for name in sorted(was.keys() | is_.keys()) if was.get(name) != is_.get(name)]
        found += [
            f"{shown.format(name)} was {_in_words(was.get(name))}, is {_in_words(is_.get(name))}" for name in changed
        ]
    return found


def _in_words(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return " and ".join(map(str, value)) or "not given"
    return str(value)
