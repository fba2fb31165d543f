"""Where the attention of two texts, or of two models, differs: head by head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column, Table, ranked_by
from attnviz.analysis.text.compared_rows import (
    Doubles,
    Rows,
    counterparts,
    divergence,
    key_names,
    paired_rows,
    paired_words,
    rows_of,
)
from attnviz.analysis.text.find import measured_notes
from attnviz.analysis.text.shown_maps import of_heads
from attnviz.analysis.text.units import Reading, reading_of
from attnviz.errors import UsageError
from attnviz.record import Measure, Observation, Spread

_COLUMNS = (
    Column("layer", "the layer of the head", "count"),
    Column("head", "the head", "count"),
    Column(
        "divergence",
        "Jensen–Shannon divergence of the rows in bits, the mean over the words compared: 0 where they are the same, 1 "
        "where they look at nothing in common (Lin 1991)",
        "score",
    ),
    Column("difference", "the share of a row's weight that lies elsewhere, the mean over the words compared", "share"),
    Column("query", "the word whose row differs most in this head"),
    Column("key", "the word whose weight changes most in that row"),
    Column("first", "that weight in the first", "weight"),
    Column("second", "that weight in the second", "weight"),
    Column("change", "second − first", "score", shown=False),
    Column("largest", "the divergence of that row", "score", shown=False),
    Column("other_layer", "the layer of the second that is compared", "count", shown=False),
    Column("other_head", "the head of the second that is compared", "count", shown=False),
)


def observe_two(
    first: Callable[[Spread], Observation], second: Callable[[Spread], Observation], word: str | None = None
) -> tuple[Observation, Observation]:
    """Observe two texts with the rows that ``compare`` needs of them.

    Of a text that is too long for all its rows, only some are kept at first: then the other text is observed before it,
    and it once more beside that.

    Args:
        first, second: observe a text with the ``Spread`` in its request.
        word: the word whose rows are compared; all that count if None.

    Raises:
        UsageError, InputError, ModelError: as these.
    """
    spread = Spread(words=() if word is None else (word,))
    ours = first(spread)
    if not is_sampled(ours):
        return ours, second(beside(ours))
    theirs = second(spread)
    return first(beside(theirs)), theirs


def compare(first: Observation, second: Observation, word: str | None = None) -> Table:
    """Rank the heads by how much the rows of the same words differ; rows of norms are divided by their sums.

    Words are paired as ``match_words`` says; a key that has no counterpart gets nothing from the other row. Where the
    models have the same numbers of layers and heads, each head is compared with its own; where they do not, with the
    head that is most alike in the layer at the same relative depth.

    Args:
        first, second: two texts in one model, or one text in two, observed with ``spread`` in their requests.
        word: the word whose rows are compared (``bank:2``); all that count if None.

    Raises:
        UsageError: no words correspond; the word has no counterpart; two units, or two kinds of maps.
    """
    if first.unit != second.unit or (first.keys is None) != (second.keys is None):
        raise UsageError("the two are not of one kind", hint="Compare the same units, and the same kind of map.")
    if first.measure != second.measure:
        raise UsageError(f"the first has {first.measure.name}, and the second {second.measure.name}")
    units = reading_of(first), reading_of(second)
    rows, every = paired_rows((first, second), units, word)
    keys = paired_words(units, queries=False)
    sides = rows_of(first, rows, keys, 0, len(units[1].keys)), rows_of(second, rows, keys, 1, len(units[0].keys))
    layers, heads = counterparts(*sides)
    ours, theirs = sides[0].weights, sides[1].weights[layers, heads]
    divergences = divergence(ours, theirs)  # (L, H, rows)
    worst = divergences.argmax(-1)
    change = np.take_along_axis(theirs - ours, worst[..., None, None], 2)[:, :, 0]  # (L, H, keys)
    most = abs(change).argmax(-1)
    names = np.array([units[0].queries.names[i] for i, _ in rows], object)
    seen = np.array(key_names(units, keys), object)
    numbers = np.array(sides[0].layers), np.array(sides[1].layers)
    shape = divergences.shape[:2]
    each = np.take_along_axis(ours, worst[..., None, None], 2)[:, :, 0], most[..., None]
    before = np.take_along_axis(*each, -1)[..., 0]
    moved = np.take_along_axis(change, most[..., None], -1)[..., 0]
    values: dict[str, NDArray[Any]] = {
        "layer": np.broadcast_to(numbers[0][:, None], shape), "head": np.broadcast_to(np.arange(shape[1]), shape),
        "divergence": divergences.mean(-1), "difference": abs(theirs - ours).sum(-1).mean(-1) / 2,
        "query": names[worst], "key": seen[most], "first": before, "second": before + moved, "change": moved,
        "largest": divergences.max(-1), "other_layer": numbers[1][layers], "other_head": heads,
    }  # fmt: skip
    table = Table(
        "compare", _title(first, second, word), _COLUMNS, {name: found.reshape(-1) for name, found in values.items()},
        about=_about(first, second, word),
        notes=(*_measured(first.measure), *_notes(units, (rows, every), keys, sides),
               *(_lost(sides) if first.measure.share else ()), *_same(divergences)),
    )  # fmt: skip
    if ours.shape[:2] != sides[1].weights.shape[:2]:
        shown = {name: replace(table.column(name), shown=True) for name in ("other_layer", "other_head")}
        table = replace(table, columns=tuple(shown.get(each.name, each) for each in table.columns))
    found = of_heads(ranked_by(table, "divergence"), first, first.request.heads)
    return found.without("head", "other_head") if first.measure.by_layer else found


def _lost(sides: tuple[Rows, Rows]) -> tuple[str, ...]:
    """What rows give to special tokens that windows have and the text has not."""
    lost = [1 - float(side.weights.sum(-1).mean()) for side in sides]
    return tuple(
        f"Rows of the {which} text give {share:.0%} of their weight to special tokens of its windows, which the text "
        "does not have: divergences are of the rest."
        for which, share in zip(("first", "second"), lost, strict=True) if share >= 0.01
    )  # fmt: skip


def _same(divergences: Doubles) -> tuple[str, ...]:
    return () if divergences.any() else ("No row differs in any head.",)


def _measured(measure: Measure) -> tuple[str, ...]:
    divided = () if measure.share else ("Each row is divided by its sum, so that the two can be compared.",)
    return *measured_notes(measure), *divided


def beside(first: Observation) -> Spread:
    """What is asked of the second text, once the first was observed."""
    if first.usual is None:
        raise ValueError("the observation was made without rows to compare")
    return Spread(reading_of(first).queries.labels, tuple(first.usual.from_.tolist()))


def is_sampled(first: Observation) -> bool:
    """Whether there was no room for all rows of the first text: it is observed again ``beside`` the second then."""
    wanted = first.request.pairs
    if first.usual is None or not isinstance(wanted, Spread) or wanted.words or wanted.beside:
        return False
    return len(first.usual.from_) < len(reading_of(first).queries)


def _title(first: Observation, second: Observation, word: str | None) -> str:
    rows = f"the rows of {word!r}" if word else "the rows of the same words"
    if first.model != second.model:
        return f"Where do {_short(first)} and {_short(second)} differ, in {rows}?"
    return f"In which {'layers' if first.measure.by_layer else 'heads'} do {rows} differ?"


def _short(observation: Observation) -> str:
    return observation.model.rpartition("/")[2]


def _about(first: Observation, second: Observation, word: str | None) -> dict[str, Any]:
    models = dict.fromkeys((first.model, second.model))
    texts = dict.fromkeys((first.encoding.text, second.encoding.text))
    return {
        "model": " and ".join(models), "text": first.encoding.text, "other_text": second.encoding.text
        if len(texts) > 1 else None, "unit": first.unit, "map": first.kind, "word": word,
    }  # fmt: skip


def _notes(
    units: tuple[Reading, Reading],
    compared: tuple[list[tuple[int, int]], int],
    keys: list[tuple[int, int]],
    sides: tuple[Rows, Rows],
) -> tuple[str, ...]:
    """Which words are compared, what has no counterpart, and which heads are taken for the same."""
    rows, every = compared
    names = [units[0].queries.names[i] for i, _ in rows]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    kind = units[0].kind
    found = [f"Compared: the rows of {len(rows)} {kind}{'s' * (len(rows) > 1)} ({shown})."]
    if every > len(rows):
        found.append(f"{every:,} {kind}s correspond, more than there is room for: these stand evenly over the text.")
    alone = [len(each.keys) - len(keys) for each in units]
    if any(alone):
        found.append(f"{alone[0]} {kind}s of the first text and {alone[1]} of the second have no counterpart.")
    if sides[0].weights.shape[:2] != sides[1].weights.shape[:2]:
        (a, b), (c, d) = (each.weights.shape[:2] for each in sides)
        heads = "the head that is most alike" if b != d else "the head of the same number"
        found.append(
            f"{a} × {b} heads beside {c} × {d}: compared with {heads} in the layer at the same relative depth."
        )
    return tuple(found)
