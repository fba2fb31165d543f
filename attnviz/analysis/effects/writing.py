"""What a model writes as it is and under interventions, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.analysis.effects.measures import Doubles, kl_divergence
from attnviz.analysis.table import Column, Table, by_size
from attnviz.attention.interventions import Intervention
from attnviz.encoding import Encoding
from attnviz.encoding.spelling import Spelling, join_pieces

if TYPE_CHECKING:
    from torch import Tensor

    from attnviz.analysis.effects.ablation import Way
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

_COLUMNS = (
    Column("step", "the number of the token, from 1", "count"),
    Column("plain", "what the model writes as it is"),
    Column("p", "the probability of this token", "share"),
    Column("p_then", "the probability that this token has then, after the same text", "share"),
    Column(
        "kl", "KL(p ‖ p′) in nats: how far its distribution p′ is then from p, as it is, after the same text", "number"
    ),
    Column("changed", "what the model writes then"),
    Column("p_changed", "the probability of this, after what the model has written then", "share"),
)
_NOTES = (
    "p, p then and kl are of what the model writes as it is: both read the same text before each token. What comes "
    "after the first token that differs is the answer to another text.",
    "Texts are greedy: a token that is barely the likeliest may give way to another by the smallest change; p says how "
    "sure the model is.",
)
TITLE = "What the model writes "
"""How each title begins; how the heads are changed follows."""
_LOGITS = 1 << 22
"""The most logits that are made at once, 32 MiB in float64."""


@dataclass(frozen=True, eq=False)
class Texts:
    """What a model has written as it is and under interventions.

    Attributes:
        backend: the model.
        source: what it has read before.
        plain: what it has read in the end, and what its decoder has, as it is; the tokens at the end are new.
        changed: the same under interventions.
        interventions: these.
        spelling: how its tokens are written.
    """

    backend: Native | Hosted
    source: Encoding
    plain: tuple[Encoding, Encoding | None]
    changed: tuple[Encoding, Encoding | None]
    interventions: Sequence[Intervention]
    spelling: Spelling


def compare_texts(texts: Texts, way: Way, heads: str, about: Mapping[str, Any], notes: Sequence[str] = ()) -> Table:
    """A row for each new token, those first at which the distribution of the next token changes most.

    ``about`` has the two texts, too: how ``both`` begin, of ``same`` tokens, and how each goes on; and the ``odds`` of
    the first token that the model writes then and not as it is: its probability as it is, and then.

    Args:
        texts: what was written.
        way: what was done to the heads.
        heads: their names.
        about: what the answer is of.
        notes: what else is to be known.

    Raises:
        InputError, ModelError: the model can't be run.
    """
    ours, theirs = (_new(each) for each in (texts.plain, texts.changed))
    same = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    other = theirs[same] if same < len(theirs) else None
    (p, p_then, kl), odds = _measured(texts, ours, (same, other))
    with texts.backend.intervened(texts.interventions):
        p_changed = [float(np.exp(row[token])) for row, token in _predicted(texts, texts.changed, theirs)]
    steps = max(len(ours), len(theirs))
    values = {
        "step": np.arange(1, steps + 1),
        "plain": _texts(texts.spelling, ours, steps),
        "changed": _texts(texts.spelling, theirs, steps),
    } | {
        name: np.append(found, np.full(steps - len(found), np.nan))
        for name, found in (("p", p), ("p_then", p_then), ("kl", kl), ("p_changed", p_changed))
    }
    both, plain, changed = _parts(texts.spelling, ours, theirs, same)
    said = dict(about) | dict(way.about) | {"same": same, "both": both, "plain": plain, "changed": changed}
    said |= {"odds": odds and [round(each, 4) for each in odds]}
    title = f"{TITLE}{way.said(heads)}"
    return by_size(Table("generate", title, _COLUMNS, values, about=said, notes=(way.note, *_NOTES, *notes)), "kl")


def _new(written: tuple[Encoding, Encoding | None]) -> tuple[int, ...]:
    """The tokens that were written."""
    read = written[1] or written[0]
    return read.ids[len(read) - read.generated :]


def _measured(
    texts: Texts, ours: Sequence[int], other: tuple[int, int | None]
) -> tuple[tuple[list[float], list[float], list[float]], tuple[float, float] | None]:
    """Of each token that is written plainly: its probability, that under the interventions, and the divergence.

    And both probabilities of the ``other`` token at a step, if there is one.
    """
    found: tuple[list[float], list[float], list[float]] = [], [], []
    odds = None
    plain = _predicted(texts, texts.plain, ours)
    with texts.backend.intervened(texts.interventions):
        changed = _predicted(texts, texts.plain, ours)
    for step, ((before, token), (after, _)) in enumerate(zip(plain, changed, strict=True)):
        if step == other[0] and other[1] is not None:
            odds = float(np.exp(before[other[1]])), float(np.exp(after[other[1]]))
        for column, value in zip(
            found, (np.exp(before[token]), np.exp(after[token]), kl_divergence(before, after)), strict=True
        ):
            column.append(float(value))
    return found, odds


def _predicted(
    texts: Texts, written: tuple[Encoding, Encoding | None], ids: Sequence[int]
) -> Iterator[tuple[Doubles, int]]:
    """The ln p (V,) of all tokens before each of those that were written, and the token itself; the model runs now."""
    backend, read = texts.backend, written[1] or written[0]
    first = len(read) - len(ids) - 1
    if backend.name == "native":
        states = backend.predicting_states(*written, first)[: len(ids)]
        step = max(1, _LOGITS // len(backend.language_head.matrix))
        native = backend
        pieces: Iterator[Tensor] = (native.next_logits(states[at : at + step]) for at in range(0, len(ids), step))
    else:
        pieces = iter([backend.next_logits(*written)[first : len(read) - 1]])
    return _rows(pieces, ids)


def _rows(pieces: Iterator[Tensor], ids: Sequence[int]) -> Iterator[tuple[Doubles, int]]:
    rows = (row for piece in pieces for row in piece.double().log_softmax(-1).cpu().numpy())
    return zip(rows, ids, strict=True)


def _texts(spelling: Spelling, ids: Sequence[int], count: int) -> Any:
    return np.array([*(spelling.written(each) for each in ids), *[""] * (count - len(ids))], object)


def _parts(spelling: Spelling, ours: Sequence[int], theirs: Sequence[int], same: int) -> tuple[str, str, str]:
    """How both texts begin, and how each goes on after so many tokens that are the ``same``."""
    spelt = []
    for ids in (ours, theirs):
        text, spans = join_pieces(
            [spelling.piece(each).encode() if each in spelling.added else spelling.spell(each) for each in ids]
        )
        at = spans[same][0] if same < len(ids) else len(text)
        spelt.append((_shown(text[:at]), _shown(text[at:])))
    return min((each[0] for each in spelt), key=len), spelt[0][1], spelt[1][1]


def _shown(text: str) -> str:
    """A text whose bytes that are no character are marked."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
