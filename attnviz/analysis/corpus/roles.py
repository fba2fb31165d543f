"""The roles of heads over a corpus, each defined by a score and a threshold.

A head may have several roles, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.analysis.corpus.modes import position_name
from attnviz.analysis.text.offsets import POSITIONAL

Scores = NDArray[np.floating]

_DIGITS = 6
"""The digits of a score that count; later ones depend on the order of the sums."""


@dataclass(frozen=True)
class Role:
    """A role: its ``score``, and the ``threshold`` from which on a head has it; with ``above``, only beyond it.

    ``source`` is the publication of the threshold; empty if it is attnviz's own.
    """

    name: str
    score: str
    threshold: float
    source: str = ""
    above: bool = False

    @property
    def rule(self) -> str:
        """``≥ 0.9``."""
        return f"{'>' if self.above else '≥'} {self.threshold:g}"

    def holds(self, scores: Scores) -> NDArray[np.bool_]:
        """Whether each score is large enough, regardless of rounding; NaN is not."""
        scores = np.round(scores, _DIGITS)
        return scores > self.threshold if self.above else scores >= self.threshold


ROLES = (
    Role("positional", "share of a text's tokens that look most at one and the same offset", POSITIONAL,
         "Voita et al. 2019"),
    Role("sink", "mean weight that one key takes whatever the query", 0.3, "Gu et al. 2025", above=True),
    Role("previous", "weight to the token before", 0.5, "Clark et al. 2019", above=True),
    Role("next", "weight to the token after", 0.5, "Clark et al. 2019", above=True),
    Role("self", "weight of a token to itself", 0.5),
    Role("duplicate", "weight to earlier tokens of the same id, where there are any", 0.5),
    Role("induction", "weight to the token after the last occurrences of this one, on repeated random tokens", 0.5),
    Role("punctuation", "weight to punctuation", 0.5),
    Role("broad", "normalised entropy", 0.8, above=True),
)  # fmt: skip
"""All roles. The scores are means over the documents."""


@dataclass(frozen=True)
class HeadRole:
    """A head that has a role. ``layer`` is the model's own number; ``detail`` names the offset or key, if any."""

    layer: int
    head: int
    score: float
    detail: str = ""


@dataclass(frozen=True, eq=False)
class RoleHeads:
    """A role, the ``scores`` (L, H) of all heads (None if not measured), and the ``heads`` that have the role.

    The heads with the largest scores come first.
    """

    role: Role
    scores: Scores | None
    heads: tuple[HeadRole, ...]


def roles(corpus: Corpus) -> tuple[RoleHeads, ...]:
    """The heads that have each of ``ROLES``, in that order."""
    scores = _scores(corpus)
    return tuple(RoleHeads(role, scores[role.name], _heads(corpus, role, scores[role.name])) for role in ROLES)


def _scores(corpus: Corpus) -> Mapping[str, Scores | None]:
    named = ("sink", "previous", "next", "self", "duplicate", "punctuation")
    return {
        "positional": corpus.modes["offset"].weighted,
        "induction": corpus.induction,
        "broad": corpus.figures["normalised_entropy"].mean,
        **{name: corpus.figures[name].mean for name in named},
    }


def _heads(corpus: Corpus, role: Role, scores: Scores | None) -> tuple[HeadRole, ...]:
    if scores is None:
        return ()
    having = np.argwhere(role.holds(scores)).tolist()
    found = (
        HeadRole(corpus.layers[layer], head, float(scores[layer, head]), _detail(corpus, role.name, layer, head))
        for layer, head in having
    )
    return tuple(sorted(found, key=lambda each: -each.score))


def _detail(corpus: Corpus, name: str, layer: int, head: int) -> str:
    """The offset or key of a head with a role, if the role has one."""
    if name == "positional":
        return offset_name(int(corpus.modes["offset"].value[layer, head]))
    if name == "sink":
        found = corpus.modes["sink_position"]
        return position_name(int(found.value[layer, head])) if found.share[layer, head] >= 0.5 else ""
    return ""


def offset_name(offset: int) -> str:
    """``−1``, ``0`` or ``+2``."""
    return f"+{offset}" if offset > 0 else str(offset).replace("-", "−")
