"""The roles of heads, each defined by a score and a threshold.

A head may have several roles, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.accumulation import Corpus
from attnviz.analysis.corpus.distribution import Distribution
from attnviz.analysis.corpus.modes import Modes, position_name
from attnviz.analysis.intervals import mean_share
from attnviz.analysis.text.offsets import POSITIONAL

Scores: TypeAlias = NDArray[np.floating]
Detail: TypeAlias = Callable[[int, int], str]
"""What is to be said of a head that has a role, by the indices of its layer and of itself."""

_DIGITS = 6
"""The digits of a score that count; later ones depend on the order of the sums."""


@dataclass(frozen=True)
class Role:
    """A role: its ``score``, and the ``threshold`` from which on a head has it; with ``above``, only beyond it.

    ``source`` is the publication of the threshold; empty if it is attnviz's own. Where a head is ``resting``, what it
    does says little of what it is for.
    """

    name: str
    score: str
    threshold: float
    source: str = ""
    above: bool = False
    resting: bool = False

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
    Role("sink", "mean weight that one key takes whatever the query", 0.3, "Gu et al. 2025", above=True,
         resting=True),
    Role("previous", "weight to the token before", 0.5, "Clark et al. 2019", above=True),
    Role("next", "weight to the token after", 0.5, "Clark et al. 2019", above=True),
    Role("self", "weight of a token to itself", 0.5),
    Role("duplicate", "weight to earlier tokens of the same id, where there are any", 0.5),
    Role("induction", "weight to the token after the last occurrences of this one, on repeated random tokens", 0.5),
    Role("punctuation", "weight to punctuation", 0.5),
    Role("broad", "normalised entropy, 1 where all keys get the same", 0.8, above=True, resting=True),
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

    The heads with the largest scores come first. ``low`` and ``high`` (L, H) are the ends of the interval of 95 % of
    each score over the documents (``intervals.mean_share``); NaN where there is only one document.
    """

    role: Role
    scores: Scores | None
    heads: tuple[HeadRole, ...]
    low: Scores | None = None
    high: Scores | None = None


def roles(corpus: Corpus) -> tuple[RoleHeads, ...]:
    """The heads that have each of ``ROLES``, in that order."""
    figures, modes = {"broad": corpus.figures["normalised_entropy"], **corpus.figures}, corpus.modes

    def offset(layer: int, head: int) -> str:
        return offset_name(int(modes["offset"].value[layer, head]))

    def sink(layer: int, head: int) -> str:
        found = modes["sink_position"]
        return position_name(int(found.value[layer, head])) if found.share[layer, head] >= 0.5 else ""

    measured: dict[str, Distribution | Modes | None] = {
        "positional": modes["offset"], "induction": corpus.induction,
    }  # fmt: skip
    details: dict[str, Detail] = {"positional": offset, "sink": sink}
    return tuple(
        having(role, measured.get(role.name, figures.get(role.name)), corpus.layers, details.get(role.name))
        for role in ROLES
    )


def having(
    role: Role, measured: Distribution | Modes | None, layers: Sequence[int], detail: Detail | None = None
) -> RoleHeads:
    """The heads that have a ``role``, by their scores as they were ``measured`` (None: they were not)."""
    if measured is None:
        return RoleHeads(role, None, ())
    mean, count = (
        (measured.weighted, measured.documents) if isinstance(measured, Modes) else (measured.mean, measured.count)
    )
    low, high = mean_share(mean, measured.deviation, count)
    found = (
        HeadRole(layers[layer], head, float(mean[layer, head]), detail(layer, head) if detail else "")
        for layer, head in np.argwhere(role.holds(mean)).tolist()
    )
    return RoleHeads(role, mean, tuple(sorted(found, key=lambda each: -each.score)), low, high)


def offset_name(offset: int) -> str:
    """``−1``, ``0`` or ``+2``."""
    return f"+{offset}" if offset > 0 else str(offset).replace("-", "−")
