"""What changes in what a model says without a head, or with something else in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.analysis.effects.measures import Measures, controls
from attnviz.analysis.effects.places import HeadPlace
from attnviz.analysis.table import Column, Table, by_size, written
from attnviz.attention.interventions import Intervention, Zero

if TYPE_CHECKING:
    from attnviz.model.outcomes import Readout

OnProgress = Callable[[int, int], None]
"""Called with how many runs are done, and of how many."""
Make = Callable[[HeadPlace], Intervention]
"""What is put in the place of a head."""
_CONTROLS = (
    Column("control", "the median of the same for the other heads of the layer", "number"),
    Column("lowest", "the lowest of these", "number"),
    Column("highest", "the highest of these", "number"),
)
REPAIR = (
    "Later layers may make up for what is gone (self-repair), so that a small change does not say that a head does "
    "nothing; compare with control: the other heads of its layer."
)


@dataclass(frozen=True)
class Way:
    """What is done to a head.

    Attributes:
        said: what it is, of the names of heads, so that ``What changes`` and ``What the model writes`` go before it.
        note: what a reader must know of it.
        make: what is put in the place of a head.
        about: what it was done with, for programs.
    """

    said: Callable[[str], str]
    note: str
    make: Make
    about: Mapping[str, Any] = field(default_factory=dict)


def zeroed(place: HeadPlace) -> Intervention:
    """The head writes nothing."""
    return Zero(place.layer, place.head, place.kind)


ZERO = Way(
    lambda heads: f"without {heads}",
    "A head that is zeroed writes what it never writes, so that part of the change is damage that says nothing about "
    "the head; --mean puts its mean over texts in its place.",
    zeroed,
    {"way": "zero"},
)


def ablate(
    readout: Readout,
    measures: Measures,
    places: Sequence[HeadPlace],
    every: Sequence[HeadPlace],
    way: Way,
    *,
    by_word: bool = False,
    rank: str | None = None,
    about: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    on_progress: OnProgress = lambda *_: None,
) -> Table:
    """Intervene in each of some heads by itself, and measure what changes in what the model says.

    Beside each is the median, the lowest and the highest effect of the other heads of its layer, which are intervened
    in alike; and in ``about`` what changes with all of the heads at once, where there are several.

    Args:
        readout: the model and its input.
        measures: what is measured.
        places: the heads.
        every: all heads of their layers.
        way: what is done to them.
        by_word: a row for each head and word, with the change of the word alone.
        rank: the column that heads are ranked by, by size; None: that of the measures.
        about: what the answer is of.
        notes: what else is to be known.
        on_progress: is told how far it is.

    Raises:
        InputError, ModelError: the model can't be run.
        UsageError: there is no such column.
    """
    if by_word:
        measures.words(readout.plain)  # refused before all runs where there are none
    wanted = [*dict.fromkeys((*places, *every))]
    several = len(places) > 1 and (_cuts(way) or len(places) < len(every))
    together = [[way.make(place) for place in places]] if several else []
    variants = [[way.make(place)] for place in wanted] + together
    outcomes: dict[int, dict[str, Any]] = {}
    words: dict[int, Any] = {}
    for number, outcome in readout.of(variants):
        outcomes[number] = measures.of(outcome)
        if by_word:
            words[number] = measures.words(outcome)
        on_progress(len(outcomes), len(variants))
    found = {place: outcomes[i] for i, place in enumerate(wanted)}
    said = dict(about or {}) | dict(way.about) | measures.about()
    if together:
        said["together"] = outcomes[len(wanted)]
        notes = (*notes, _said_together(measures, len(places), outcomes[len(wanted)]))
    plain = measures.plainly()
    notes = (*([plain] if plain else []), way.note, REPAIR, *notes)
    heads = places[0].name if len(places) == 1 else "each of these heads" if together else "each head"
    title = f"What changes {way.said(heads)}?"
    if by_word:
        changes = {place: words[i] for i, place in enumerate(wanted) if place in set(places)}
        return _by_word(measures, changes, title, said, notes)
    beside = controls({(place.kind, place.layer, place.head): each[measures.main] for place, each in found.items()})
    rows = [
        (place, found[place], beside[place.kind, place.layer, place.head]) for place in places
    ]  # fmt: skip
    return _by_head(measures, rows, title, said, notes, rank)


def _cuts(way: Way) -> bool:
    return way.about.get("way") == "cut"


def _by_head(
    measures: Measures, rows: Sequence[tuple[HeadPlace, dict[str, Any], tuple[float, float, float]]], title: str,
    about: Mapping[str, Any], notes: Sequence[str], rank: str | None,
) -> Table:  # fmt: skip
    columns, values = place_columns([place for place, _, _ in rows])
    for column in measures.columns:
        columns += (column,)
        values[column.name] = _values([each[column.name] for _, each, _ in rows], column)
    kind = next(column.kind for column in measures.columns if column.name == measures.main)
    for i, column in enumerate(_CONTROLS):
        columns += (replace(column, kind=kind),)
        values[column.name] = np.array([beside[i] for _, _, beside in rows])
    table = Table("ablate", title, columns, values, about=about, notes=tuple(notes))
    return by_size(table, rank or measures.main)


def _by_word(
    measures: Measures, changes: Mapping[HeadPlace, Any], title: str, about: Mapping[str, Any], notes: Sequence[str]
) -> Table:
    names = measures.word_names
    columns, values = place_columns([place for place in changes for _ in names])
    columns += Column("word", "the word"), measures.word_column
    values["word"] = np.array([name for _ in changes for name in names], object)
    values["change"] = np.concatenate([np.asarray(each, float) for each in changes.values()])
    return by_size(Table("ablate", title, columns, values, about=about, notes=tuple(notes)), "change")


def place_columns(places: Sequence[HeadPlace]) -> tuple[tuple[Column, ...], dict[str, Any]]:
    """The columns that say which head a row is about: its layer, its number and, where there are several, its kind."""
    columns: tuple[Column, ...] = (
        Column("layer", "the layer of the head", "count"),
        Column("head", "the head", "count"),
    )
    values: dict[str, Any] = {
        "layer": np.array([place.layer for place in places], np.int64),
        "head": np.array([place.head for place in places], np.int64),
    }
    if any(place.kind != "self" for place in places):
        columns += (Column("map", "whose attention: the encoder's, the decoder's, or from one to the other"),)
        values["map"] = np.array([place.kind for place in places], object)
    return columns, values


def _values(found: Sequence[Any], column: Column) -> Any:
    return np.array(found, object) if column.kind == "text" else np.array(found, np.float64)


def _said_together(measures: Measures, count: int, found: Mapping[str, Any]) -> str:
    said = [
        f"{column.name.replace('_', ' ')} {written(found[column.name], column.kind)}"
        for column in measures.columns if column.kind in ("number", "change")
    ]  # fmt: skip
    return f"{'Both' if count == 2 else f'All {count}'} heads at once: {', '.join(said)}."
