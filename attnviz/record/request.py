"""What is asked of a text: one value that the command line, Python and batch all make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, SupportsInt, get_args

from attnviz.errors import UsageError, not_one_of
from attnviz.record.attention import MapName
from attnviz.record.measure import WeightsName, require_answer_of, require_measure

Unit = Literal["token", "word", "sentence", "line", "paragraph"]
Rank = Literal["weight", "lift"]
Cell = Literal["link", "entropy", "sink", "distance"]
Span = tuple[int | None, int | None]
"""The numbers of the first unit and of the one behind the last; None is the first unit of all, or the end."""


@dataclass(frozen=True)
class Heads:
    """The layers and heads whose maps are wanted; None is left to the strongest link. ``mean`` averages over heads."""

    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    mean: bool = False

    @classmethod
    def of(cls, layers: int | Sequence[int] | None, heads: int | Sequence[int] | None, *, mean: bool = False) -> Heads:
        """The layers and heads of one number each, or of several."""
        return cls(_numbers(layers), _numbers(heads), mean)

    @property
    def chosen(self) -> bool:
        """Whether any field was set."""
        return self != Heads()


def _numbers(given: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """One number or several as a tuple."""
    return None if given is None else (int(given),) if isinstance(given, SupportsInt) else tuple(map(int, given))


@dataclass(frozen=True)
class Crop:
    """The part of each map that is wanted, as ranges of units or as one word (``the:2``)."""

    rows: Span | str = (None, None)
    columns: Span | str = (None, None)


@dataclass(frozen=True)
class Pairs:
    """The links that are looked for: from some words, to some words; nothing is all that count.

    Each is a unit (``bank``, ``bank:2``), several words of the text, or a regular expression (``/ban./``).
    """

    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spread:
    """The rows that are compared with those of another text: of a long one as many as memory has room for.

    ``beside`` are the units of the other text; only rows of units that correspond to its ``rows`` are kept then.
    ``words`` are the units that are wanted (``the:2``); none is all.
    """

    beside: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What is asked of a text, and so what is observed of it.

    Attributes:
        unit: what rows, columns and links are counted in.
        special: special tokens, punctuation and sinks count too.
        everything: everything counts: function words, positional heads and self-links as well.
        words: the units whose attention is wanted (``the:2``); none is all that count.
        passage: some words of the text; only they count as queries, except for positional heads and generated tokens.
        generated: only the generated tokens count as queries. The row of each is that of the token before it, which
            predicted it.
        per_token: weights are divided by how many tokens of the key's unit the query sees.
        heads: the heads whose maps are wanted.
        crop: the part of the maps that is wanted.
        threshold: smaller weights are left out of the maps: they are 0 there.
        cell: which figure of each head the overview shows.
        top: how many keys are listed of each unit.
        rank: what the strongest links are ranked by: their ``weight``, or their ``lift``, how many times what is usual
            for the head they are (see ``analysis.text.usual``).
        links: how many links are listed; of each layer, for the documents of a corpus.
        size: the most rows and columns of a map; None keeps all weights if there is memory for them.
        regions: how many of the strongest parts of each head's map are kept as they are where the maps are pooled.
        language: the code of the language whose function words do not count.
        map: which of an encoder–decoder's three maps; None is the cross map.
        evidence: whether to keep what a check needs of the run.
        weights: what the numbers of the maps measure; None is attention, or what a saved record holds.
        of: the next token, or the label, whose logit ``gradient`` is of; None is what the model predicts.
        against: another, whose logit is subtracted.
        received: whether it is wanted what looks at the ``words``, or at all units that count, in place of what they
            look at.
        pairs: the links that are looked for, or the rows that are compared, for which each head's usual weights are
            added up; None: none are.
    """

    unit: Unit = "word"
    special: bool = False
    everything: bool = False
    words: tuple[str, ...] = ()
    passage: str | None = None
    generated: bool = False
    per_token: bool = False
    heads: Heads = Heads()
    crop: Crop = Crop()
    threshold: float = 0.0
    cell: Cell = "link"
    top: int = 3
    rank: Rank = "weight"
    links: int = 8
    size: int | None = None
    regions: int = 0
    language: str = "en"
    map: MapName | None = None
    evidence: bool = True
    received: bool = False
    pairs: Pairs | Spread | None = None
    weights: WeightsName | None = None
    of: str | int | None = None
    against: str | int | None = None

    def __post_init__(self) -> None:
        """Raise a ``UsageError`` if the unit or the weights are unknown, or fields do not go together."""
        known = get_args(Unit)
        if self.unit not in known:
            raise not_one_of("`unit`", str(self.unit), known)
        require_measure(self.weights)
        require_answer_of(self.weights, self.of, self.against)
        if self.per_token and (self.pairs or self.rank == "lift"):
            raise UsageError(
                "`per_token` is given, and weights are compared with what is usual: that is of whole weights",
                hint="Leave `per_token` out." if self.pairs else "Leave `per_token` out, or rank by weight.",
            )
        if self.pairs and self.crop != Crop():
            raise UsageError(
                "`rows` or `cols` are given, which cut maps: here whole rows are looked at",
                hint="Name the words that are meant.",
            )
