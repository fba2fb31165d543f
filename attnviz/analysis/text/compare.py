"""Where the attention of two texts, or of two models, differs: head by head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column, Table, ranked_by
from attnviz.analysis.text.aligned import both_words
from attnviz.analysis.text.find import measured_notes
from attnviz.analysis.text.links import find_in
from attnviz.analysis.text.matching import match_words
from attnviz.analysis.text.shown_maps import of_heads
from attnviz.analysis.text.units import Reading, reading_of
from attnviz.errors import UsageError
from attnviz.record import Measure, Observation, Spread

Doubles = NDArray[np.float64]
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


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of one side.

    Attributes:
        weights: of the words compared (L, H, rows, keys): to the paired keys, to those that only the first text has,
            and to those that only the second has.
        layers: the numbers of the layers.
    """

    weights: Doubles
    layers: tuple[int, ...]


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
    rows, every = _paired_rows((first, second), units, word)
    keys = _paired(units, queries=False)
    sides = _side(first, rows, keys, 0, len(units[1].keys)), _side(second, rows, keys, 1, len(units[0].keys))
    layers, heads = _counterparts(*sides)
    ours, theirs = sides[0].weights, sides[1].weights[layers, heads]
    divergences = divergence(ours, theirs)  # (L, H, rows)
    worst = divergences.argmax(-1)
    change = np.take_along_axis(theirs - ours, worst[..., None, None], 2)[:, :, 0]  # (L, H, keys)
    most = abs(change).argmax(-1)
    names = np.array([units[0].queries.names[i] for i, _ in rows], object)
    seen = np.array(_key_names(units, keys), object)
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


def _lost(sides: tuple[_Rows, _Rows]) -> tuple[str, ...]:
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


def divergence(p: Doubles, q: Doubles) -> Doubles:
    """The Jensen–Shannon divergence of the rows of ``p`` and ``q`` (…, m) in bits, (…,), each row taken to sum to 1.

    Lin, "Divergence measures based on the Shannon entropy", 1991. A row without any weight differs from none.
    """
    p, q = np.broadcast_arrays(p, q)
    p, q = (each / np.maximum(each.sum(-1, keepdims=True), np.finfo(float).tiny) for each in (p, q))
    middle = (p + q) / 2
    found = sum(
        np.where(each > 0, each * np.log2(np.divide(each, middle, out=np.ones_like(each), where=each > 0)), 0).sum(-1)
        for each in (p, q)
    )
    return np.asarray(found / 2).clip(0, 1)


def _paired(units: tuple[Reading, Reading], *, queries: bool) -> list[tuple[int, int]]:
    axes = [each.queries if queries else each.keys for each in units]
    return match_words(axes[0].labels, axes[1].labels)


def _paired_rows(
    sides: tuple[Observation, Observation], units: tuple[Reading, Reading], word: str | None
) -> tuple[list[tuple[int, int]], int]:
    """The words that are compared, of which both sides kept their rows, and how many words correspond."""
    kept = []
    for side in sides:
        if side.usual is None:
            raise ValueError("the observation was made without rows to compare")
        kept.append(set(side.usual.from_.tolist()))
    paired = _paired(units, queries=True)
    found = [(i, j) for i, j in paired if i in kept[0] and j in kept[1]]
    if word is not None:
        wanted = find_in(units[0].queries, word, units[0].kind, "first text")
        found = [(i, j) for i, j in found if i in wanted]
        if not found:
            raise UsageError(f"{word!r} has no counterpart in the second text", hint="Compare a word that both have.")
        return found, sum(i in wanted for i, _ in paired)
    counted = [side.query_mask for side in sides]
    found, paired = ([(i, j) for i, j in pairs if counted[0][i] and counted[1][j]] for pairs in (found, paired))
    if not found:
        raise UsageError("no words of the two texts correspond", hint="Give texts that have some words in common.")
    return found, len(paired)


def _side(
    observation: Observation, rows: list[tuple[int, int]], keys: list[tuple[int, int]], side: int, others: int
) -> _Rows:
    """The rows of the first (0) or the second ``side``; the other has so many keys."""
    usual = observation.usual
    if usual is None:
        raise ValueError("the observation was made without rows to compare")
    places = {int(unit): place for place, unit in enumerate(usual.from_)}
    found = usual.rows[:, :, [places[row[side]] for row in rows]]
    if not observation.measure.share:
        found = found / np.maximum(found.sum(-1, keepdims=True), np.finfo(float).tiny)
    paired = [key[side] for key in keys]
    alone = np.delete(found, paired, -1)
    missing = np.zeros((*found.shape[:-1], others - len(keys)))
    parts = (alone, missing) if side == 0 else (missing, alone)
    return _Rows(np.concatenate((found[..., paired], *parts), -1), observation.layer_numbers)


def _key_names(units: tuple[Reading, Reading], keys: list[tuple[int, int]]) -> list[str]:
    """The names of the columns of ``_Rows``."""
    alone = [
        [name for i, name in enumerate(each.keys.names) if i not in {key[side] for key in keys}]
        for side, each in enumerate(units)
    ]
    return [_both(units, i, j) for i, j in keys] + alone[0] + alone[1]


def _counterparts(ours: _Rows, theirs: _Rows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The layer and the head of the second side that each head of the first is compared with, (L, H) each."""
    (layers, heads), (others, count) = ours.weights.shape[:2], theirs.weights.shape[:2]
    if (layers, heads) == (others, count):
        places = np.indices((layers, heads))
        return places[0], places[1]
    depth = np.rint(np.arange(layers) * (others - 1) / max(layers - 1, 1)).astype(np.intp)
    if heads == count:
        return np.repeat(depth[:, None], heads, 1), np.indices((layers, heads))[1]
    alike = np.stack([
        divergence(ours.weights[layer][:, None], theirs.weights[depth[layer]][None]).mean(-1).argmin(-1)
        for layer in range(layers)
    ])  # fmt: skip
    return np.repeat(depth[:, None], heads, 1), alike


def _both(units: tuple[Reading, Reading], i: int, j: int) -> str:
    ours, theirs = units[0].keys.labels[i], units[1].keys.labels[j]
    return units[0].keys.names[i] if both_words(ours, theirs) == ours else both_words(ours, theirs)


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
    sides: tuple[_Rows, _Rows],
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
