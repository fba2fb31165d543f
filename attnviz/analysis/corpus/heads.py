"""What each head is for: a table of all heads with the scores of all roles, and the roles that they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.roles import ROLES, RoleHeads, having
from attnviz.analysis.corpus.sinks import Sinks
from attnviz.analysis.table import Column, Table, head_columns, ranked_by
from attnviz.errors import UsageError, not_one_of

TITLE = "What is each head for?"
_BASICS = (
    Column("role", "the role whose score is farthest beyond its threshold, sink and broad after the others; "
           "empty where a head has none"),
    Column("score", "the score of that role", "share"),
    Column("low", "the low end of the 95 % interval of that score over the documents", "share"),
    Column("high", "the high end of it", "share"),
    Column("also", "the other roles of the head"),
    Column("where", "the offset or the key that it looks at, of positional heads and sinks"),
    Column("margin", "how far the score is beyond the threshold, of the way from it to 1; below 0 without a role",
           "score", shown=False),
)  # fmt: skip
_INTERVALS = "low and high: the ends of the score's 95 % interval over the texts that were read (Wilson's interval)."
RANDOM = "Induction, previous and duplicate are of random tokens that repeat."
_KINDS = {
    "natural": "natural text",
    "random": "random tokens",
    "repeated": "one repeated token",
}


WITHOUT_TEXTS = ("sink", "previous", "duplicate", "induction")
"""The roles that heads show without any corpus."""


def require_role(role: str | None, *, texts: bool) -> None:
    """Raise a ``UsageError`` if there is no such role; without ``texts`` there are few."""
    known = [each.name for each in ROLES]
    if role is None or role in (known if texts else WITHOUT_TEXTS):
        return
    if role in known:
        raise UsageError(
            f"without texts there is no score of {role}, only of {', '.join(WITHOUT_TEXTS)}",
            hint=f"Give files: attnviz heads FILES --role {role}",
        )
    raise not_one_of("`role`", role, known)


def heads_table(
    found: Sequence[RoleHeads],
    layers: Sequence[int],
    heads: int,
    *,
    role: str | None = None,
    about: Mapping[str, Any] | None = None,
    more: Mapping[Column, NDArray[Any]] | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """All heads with their roles and scores: those first whose score is farthest beyond a threshold, and
    after them those that are only sinks or broad.

    Args:
        found: the roles that were looked for.
        layers: the layers' own numbers (L,).
        heads: the number of heads of a layer, H.
        role: the role by whose score the heads are ranked instead.
        about: what the answer is of.
        more: other columns, (L, H) each.
        notes: what else is to be known.

    Raises:
        UsageError: the score of the role was not measured.
    """
    if role is not None and all(each.scores is None for each in found if each.role.name == role):
        raise UsageError(f"no score of {role} could be measured: the model reads too few tokens, or it is not causal")
    columns, values = head_columns(layers, heads)
    columns += _BASICS
    values |= _roles(found, layers, heads)
    for each in found:
        columns += _columns(each, main=each.role.name == role)
        nothing = np.full(len(layers) * heads, np.nan)
        for name, scores in (("", each.scores), ("_low", each.low), ("_high", each.high)):
            values[each.role.name + name] = nothing if scores is None else np.asarray(scores, np.float64).reshape(-1)
    for column, scores in (more or {}).items():
        columns += (column,)
        values[column.name] = np.asarray(scores).reshape(-1)
    said = (*notes, *_notes(found, layers, heads, role))
    if not any(values["where"]):
        columns = tuple(column for column in columns if column.name != "where")
        del values["where"]
    table = Table("heads", TITLE, columns, values, about=about or {}, notes=said)
    if role is not None:
        return ranked_by(table, role)
    resting = [each.role.name for each in found if each.role.resting]
    after = np.where(values["role"] == "", 2, np.isin(values["role"], resting))
    return table.take(np.lexsort((-np.nan_to_num(values["margin"], nan=-np.inf), after)))


def _columns(found: RoleHeads, *, main: bool) -> tuple[Column, ...]:
    role = found.role
    source = f", {role.source}" if role.source else ""
    ends = (("_low", "low"), ("_high", "high"))
    there = found.scores is not None and bool(np.isfinite(found.scores).any())
    return (
        Column(role.name, f"{role.score}; a head has the role where it is {role.rule}{source}", "share", shown=there),
        *(Column(role.name + name, f"the {end} end of its 95 % interval", "share", shown=main) for name, end in ends),
    )


def _roles(found: Sequence[RoleHeads], layers: Sequence[int], heads: int) -> dict[str, NDArray[Any]]:
    """The columns ``_BASICS`` of all heads."""
    cells = len(layers) * heads
    scores = _stacked([each.scores for each in found], cells)  # (roles, L·H)
    thresholds = np.array([each.role.threshold for each in found])[:, None]
    has = np.stack([each.role.holds(scores[i]) for i, each in enumerate(found)])
    margins = np.where(np.isnan(scores), -np.inf, (scores - thresholds) / (1 - thresholds))
    # A role that a head has before one that it has not, and one that says more before one that says less.
    resting = np.array([each.role.resting for each in found])[:, None]
    before = np.where(has, margins + np.where(resting, 2, 4), margins)
    best = before.argmax(0)
    any_: NDArray[np.bool_] = np.asarray(has.any(0))
    every = np.arange(cells)
    ends = {name: _stacked([getattr(each, name) for each in found], cells) for name in ("low", "high")}
    names = [each.role.name for each in found]
    order = np.argsort(-before, 0, kind="stable")
    details = [
        {(head.layer, head.head): head.detail for head in each.heads if head.detail} for each in found
    ]  # fmt: skip
    own, head = np.repeat(np.asarray(layers), heads), [*range(heads)] * len(layers)
    margin = np.where(np.isfinite(margins[best, every]), margins[best, every], np.nan)
    return {
        "role": np.array([names[best[i]] if any_[i] else "" for i in every], object),
        "score": np.where(any_, scores[best, every], np.nan),
        **{name: np.where(any_, values[best, every], np.nan) for name, values in ends.items()},
        "also": np.array(
            [", ".join(names[r] for r in order[:, i] if has[r, i] and r != best[i]) for i in every], object
        ),
        "where": np.array(
            ["; ".join(each[at] for each in details if at in each) for at in zip(own.tolist(), head, strict=True)],
            object,
        ),
        "margin": margin,
    }


def _stacked(scores: Sequence[NDArray[Any] | None], cells: int) -> NDArray[np.float64]:
    nothing = np.full(cells, np.nan)
    return np.stack([nothing if each is None else np.asarray(each, np.float64).reshape(-1) for each in scores])


def _notes(found: Sequence[RoleHeads], layers: Sequence[int], heads: int, asked: str | None) -> list[str]:
    """How many heads have each role, from which score on, what the scores are, and what was not measured."""
    cells, some = len(layers) * heads, {(head.layer, head.head) for each in found for head in each.heads}
    measured = [each for each in found if each.scores is not None and not np.isnan(each.scores).all()]
    counts = [f"{each.role.name} {each.role.rule}: {len(each.heads):,}" for each in measured]
    counts.append(f"none: {cells - len(some):,}")
    missing = [each.role.name for each in found if each not in measured]
    scores = [f"{each.role.name}: {each.role.score}" for each in measured if each.heads or each.role.name == asked]
    said = [f"Heads with each role, of {cells:,}: {', '.join(counts)}."]
    said += [f"What the scores are, means over the texts: {'; '.join(scores)}."] if scores else []
    said.append(_INTERVALS)
    return said + ([f"Not measured: {', '.join(missing)}."] if missing else [])


def random_roles(
    repeated: Mapping[str, Distribution] | None, sinks: Sinks | None, layers: Sequence[int]
) -> list[RoleHeads]:
    """The roles that heads show without any corpus."""
    measured = dict(repeated or {})
    if sinks:
        measured["sink"] = sinks.first["natural"]
    return [having(role, measured.get(role.name), layers) for role in ROLES if role.name in WITHOUT_TEXTS]


def sink_columns(sinks: Sinks) -> dict[Column, NDArray[Any]]:
    """What the first token takes of each kind of text."""
    about = f"mean weight on the first of {sinks.length} tokens, of"
    return {
        Column(f"first_{kind}", f"{about} {_KINDS[kind]} (α₁ of Gu et al. 2025)", "share", shown=False): found.mean
        for kind, found in sinks.first.items()
    }


def sink_notes(sinks: Sinks | None, *, causal: bool) -> list[str]:
    """The sink rates in words, or why there are none."""
    if sinks is None:
        why = "the model takes too few tokens" if causal else "the sink rate is defined for causal models, this is none"
        return [f"No sink rate: {why} (Gu et al. 2025). With files, sinks are found by any key."]
    said = ", ".join(f"{100 * rate:.2f} % on {_KINDS[kind]}" for kind, rate in sinks.rates.items())
    return [f"Sink rate (heads whose first of {sinks.length} tokens takes over 0.3, Gu et al. 2025): {said}."]
