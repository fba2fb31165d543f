"""How far what is shown is from what it must be, each difference as a part of what rounding may make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

SINGLE = 2.0**-22
"""What is kept in float32 is rounded by a part of 2⁻²⁴; and some of it is added up before."""
SLACK = 12.0
"""Where float64 explains a difference, ours may be so many times as large as that of transformers' own two types.

Twice ``verdict.TIMES``: these are the largest differences in some rows of a layer, and others may be rounded more.
"""


Place = TypeVar("Place")


@dataclass(frozen=True)
class Tolerance:
    """How far two values may be apart: ``weight``, and ``part`` of the value itself.

    Two weights agree where they are within ε (``verdict.TOLERANCES``). Rounding moves scores, and a weight A by
    A·(1 − A)·R where these move by R against each other; so R = 4ε is the most that keeps every weight within ε.
    Then each weight is right to a part of R, also one that is small. A figure that adds up weights with factors that
    are not negative is right to the same part of itself: shares, what a key receives, Σ A·|q − k|, the means and
    the largest of these. So is the entropy, as Σ ΔA·ln A is at most R·Σ A·|ln A|; and Σ A·(q − k) is right to a part
    of Σ A·|q − k|. What counts queries is right but for those that have two keys of the largest weight, within this.
    """

    weight: float
    part: float

    @classmethod
    def of(cls, weight: float) -> Tolerance:
        """That in which each weight may be off by ``weight``."""
        return cls(weight, max(4 * weight, SINGLE))

    def by_rounding(self, theirs: Mapping[Place, Tensor], exact: Mapping[Place, Tensor]) -> Tolerance:
        """What rounding explains, where transformers' own weights (…, M) are ``theirs``, and in float64 ``exact``.

        No type rounds to less than half its epsilon.
        """
        apart = [(rows.double() - exact[layer].double()).abs() for layer, rows in theirs.items()]
        least = max((torch.finfo(rows.dtype).eps / 2 for rows in theirs.values()), default=0.0)
        weight = max((float(each.max()) for each in apart if each.numel()), default=0.0)
        part = max((float(each.sum(-1).max()) for each in apart if each.numel()), default=0.0)
        weight, part = max(weight, least), max(part, least)
        return Tolerance(self.weight + SLACK * weight, self.part + SLACK * part)

    def allows(self, value: Tensor) -> Tensor:
        """How far each ``value`` may be off."""
        return self.weight + self.part * value.abs()


@dataclass
class Differences:
    """The largest difference of each thing that is shown, as a part of its tolerance: 1 is as much as may be.

    What rounding explains may be another tolerance in each of the ``layers``, by the model's own number.
    """

    tolerance: Tolerance
    layers: Mapping[int, Tolerance] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    _most: dict[str, float] = field(default_factory=lambda: {"weights": 0.0, "figures": 0.0})

    def within(self, layer: int) -> Differences:
        """The same, of one ``layer``: what is noted there is noted here."""
        return Differences(self.layers.get(layer, self.tolerance), self.layers, self.found, self._most)

    @property
    def weights(self) -> float:
        """The largest |Δ| of two links' weights."""
        return self._most["weights"]

    @property
    def figures(self) -> float:
        """The largest |Δ| of other values, as a part of the value where it is above 1."""
        return self._most["figures"]

    def values(self, what: str, shown: Tensor, right: Tensor, of: Tensor | None = None) -> None:
        """Note how far the values ``shown`` are from the ``right`` ones; both have no number at the same places.

        ``of`` is what the tolerance is a part of, where that is not the value itself.
        """
        shown, right = shown.double().cpu(), right.double().cpu()
        if shown.shape != right.shape:
            self.parts(what, torch.tensor(torch.inf))
            return
        self.never(what, happens=shown.isnan() != right.isnan())
        apart = torch.where(shown.isnan() & right.isnan(), 0.0, (shown - right).abs().nan_to_num(nan=1.0))
        if apart.numel():
            most = float((apart / right.abs().nan_to_num().clamp(min=1)).max())
            self._most["figures"] = max(self.figures, most)
        allowed = self.tolerance.allows(right if of is None else of.double().cpu()).nan_to_num(self.tolerance.weight)
        self.parts(what, apart / allowed)

    def links(self, what: str, shown: Tensor, right: Tensor) -> None:
        """As ``values``, of weights."""
        shown, right = shown.double(), right.double()
        apart = (shown - right).abs()
        if apart.numel():
            self._most["weights"] = max(self.weights, float(apart.nan_to_num(nan=torch.inf).max()))
        self.parts(what, apart / self.tolerance.allows(right))

    def at_most(self, what: str, value: Tensor, most: Tensor) -> None:
        """Note by how much each ``value`` is above the ``most`` that it may be."""
        value, most = value.double(), most.double()
        self.parts(what, (value - most).clamp(min=0) / self.tolerance.allows(most))

    def never(self, what: str, *, happens: bool | Tensor) -> None:
        """Note something that no rounding can do."""
        if bool(torch.as_tensor(happens).any()):
            self.parts(what, torch.tensor(torch.inf))

    def parts(self, what: str, parts: Tensor) -> None:
        """Note differences that are parts of their tolerance already."""
        if parts.numel():
            most = float(parts.nan_to_num(nan=torch.inf).max())
            self.found[what] = max(self.found.get(what, 0.0), most)

    @property
    def apart(self) -> float:
        """The largest of all."""
        return max(self.found.values(), default=0.0)

    @property
    def worst(self) -> str:
        """What that is of."""
        return max(self.found, key=self.found.__getitem__, default="")
