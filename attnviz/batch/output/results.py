"""What a run has found of its heads, read from the folder of its results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.analysis.corpus.roles import ROLES, HeadRole, Role, RoleHeads, Scores
from attnviz.batch.output import manifest
from attnviz.batch.output.storage import Storage, open_storage
from attnviz.errors import UsageError
from attnviz.record.schemas import VERSIONS

_SUMMARY = "summary.json"


@dataclass(frozen=True)
class HeadResults:
    """The roles of the heads of a run: those of ``heads`` heads in each of the ``layers``, and what it was of."""

    roles: tuple[RoleHeads, ...]
    layers: tuple[int, ...]
    heads: int
    about: Mapping[str, Any]


def read_heads(where: str) -> HeadResults:
    """Read the roles of the heads from the folder ``where`` (a path or a URL) of a run.

    Raises:
        UsageError: it is no folder of results, the run has not ended or measured nothing, or a file is damaged.
    """
    storage = open_storage(where)
    said = _content(storage, manifest.FILE)
    if said is None:
        raise UsageError(
            f"{storage.where} is no folder of results: it has no {manifest.FILE}",
            hint="Give a folder that attnviz batch wrote: attnviz batch FILES -o results/",
        )
    run = manifest.from_json(said, f"{storage.where}/{manifest.FILE}")
    again = "Give the command that made it again: it goes on where it was."
    content = _content(storage, _SUMMARY) if run.complete else None
    if content is None:
        why = f"there is no {_SUMMARY}" if run.complete else "its run has not ended"
        raise UsageError(f"{storage.where} has no summary: {why}", hint=again)
    try:
        return _read(json.loads(content))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{storage.where}/{_SUMMARY} is damaged ({type(error).__name__}: {error})",
            hint=f"Delete it, and give the command again that made it; that is in {manifest.FILE}.",
        ) from None


def _content(storage: Storage, name: str) -> bytes | None:
    file = storage.open(name)
    if file is None:
        return None
    with file:
        return file.read()


def _read(found: Mapping[str, Any]) -> HeadResults:
    """The roles in a summary.

    Raises:
        ValueError, KeyError, TypeError: it is not as the schema says.
    """
    if found["schema_version"] != VERSIONS["batch"]:
        raise ValueError(f"it has the version {found['schema_version']!r} of its schema, not {VERSIONS['batch']}")
    layers, heads = tuple(int(layer) for layer in found["layers"]), int(found["heads"])
    known, given = {role.name: role for role in ROLES}, {each["role"]: each for each in found["roles"]}
    roles = tuple(_role(known[name], given[name], (len(layers), heads)) for name in known)
    run, counts = found["run"], found["counts"]
    about = {"model": str(run["model"]), "inputs": list(run["inputs"]), "documents": int(counts["measured"])}
    return HeadResults(roles, layers, heads, about)


def _role(role: Role, found: Mapping[str, Any], shape: tuple[int, int]) -> RoleHeads:
    scores, low, high = (
        _grid(found.get(name), shape) for name in ("scores", "low", "high")
    )  # ends of intervals are newer
    heads = tuple(
        HeadRole(int(each["layer"]), int(each["head"]), float(each["score"]), str(each["detail"]))
        for each in found["heads"]
    )
    return RoleHeads(role, scores, heads, low, high)


def _grid(rows: Any, shape: tuple[int, int]) -> Scores | None:
    if rows is None:
        return None
    grid = np.array(rows, np.float64)  # null is NaN
    if grid.shape != shape:
        raise ValueError(f"a grid is {grid.shape}, not {shape}")
    return grid
