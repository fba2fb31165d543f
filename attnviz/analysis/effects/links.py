"""Links from words to words that are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnviz.analysis.effects.ablation import Way
from attnviz.analysis.effects.places import HeadPlace
from attnviz.analysis.text.looking import GENERATED
from attnviz.analysis.text.units import read_in
from attnviz.analysis.text.wanted import find_places, units_of
from attnviz.attention.interventions import Cut, Intervention
from attnviz.attention.tile import Kind
from attnviz.encoding import Encoding
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native
    from attnviz.model.outcomes import Readout


def find_tokens(encoding: Encoding, wanted: str, text: str = "text") -> tuple[int, ...]:
    """The tokens of the words of a text that read ``wanted``, as ``find`` reads it (``bank:2``, ``/ban./``).

    Raises:
        UsageError: the text has no such words; the message lists those that it has.
    """
    axis = read_in("word", encoding, None, ()).queries
    words = units_of(find_places(axis, encoding, "word", wanted, text))
    return tuple(token for i in words for token in range(encoding.words[i].start, encoding.words[i].stop))


def without_link(
    backend: Native | Hosted,
    readout: Readout,
    cut: tuple[str, str],
    places: Sequence[HeadPlace],
    *,
    renormalise: bool,
    written: int = 0,
) -> Way:
    """The links from one word to another have no weight in a head.

    Args:
        backend: the model.
        readout: the input.
        cut: the word that looks, and the word that is looked at; ``generated`` looks from all tokens that write others.
        places: the heads.
        renormalise: whether what is left of a row is divided by its sum.
        written: how many tokens the model writes after its input.

    Raises:
        UsageError: there are no such words, or no query of the first sees the second.
    """
    sides: dict[Kind, tuple[Encoding, Encoding]] = {"self": (readout.encoding,) * 2, "encoder": (readout.encoding,) * 2}
    if readout.target:
        sides |= {"decoder": (readout.target,) * 2, "cross": (readout.target, readout.encoding)}
    kinds = {place.kind for place in places}
    if written and cut[0] == GENERATED:
        ends = {kind: (_writing(readout, kind, written), find_tokens(readout.encoding, cut[1])) for kind in kinds}
    else:
        ends = {kind: _ends(backend, kind, sides[kind], cut) for kind in kinds}

    def make(place: HeadPlace) -> Intervention:
        queries, keys = ends[place.kind]
        return Cut(place.layer, place.head, place.kind, queries, keys, renormalise)

    rest = (
        "What is left of a row is divided by its sum, as if the query did not see the key."
        if renormalise
        else "What is left of a row stays as it is, so that it sums to less than 1."
    )
    about = {"way": "cut", "from": cut[0], "to": cut[1], "renormalised": renormalise}
    return Way(lambda heads: f"without the link from {cut[0]} to {cut[1]}, in {heads}", rest, make, about)


def _writing(readout: Readout, kind: Kind, written: int) -> tuple[int, ...] | None:
    """The tokens that write others: the last of the text and all new ones; None for all that a decoder reads."""
    last = len(readout.encoding) - 1
    return None if kind == "cross" else tuple(range(last, last + written))


def _ends(
    backend: Native | Hosted, kind: Kind, sides: tuple[Encoding, Encoding], cut: tuple[str, str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    names = ("target", "source") if kind == "cross" else ("text", "text")
    queries, keys = (find_tokens(*each) for each in zip(sides, cut, names, strict=True))
    if kind != "cross" and backend.causal(kind) and max(queries) < min(keys):
        raise UsageError(
            f"{cut[0]} comes before {cut[1]}, and this model looks back only: there is no such link",
            hint=f"Cut the link from {cut[1]} to {cut[0]}.",
        )
    return queries, keys
