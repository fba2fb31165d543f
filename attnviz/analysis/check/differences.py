"""Differences between what is shown and what transformers' weights give, each divided by what rounding may cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

SINGLE = 2.0**-22
"""The relative rounding of values that are kept in float32: 2⁻²⁴, and more where values were added up first."""
SLACK = 12.0
"""Rounding explains a difference up to this many times the one between transformers' own two types.

Twice ``report.ROUNDING_BOUND``: the latter is measured on some rows of a layer, and other rows may be rounded more.
"""


Place = TypeVar("Place")


@dataclass(frozen=True)
class Tolerance:
    """How far two values may differ: by ``weight``, plus ``part`` times the value.

    Two weights agree if they are within ε (``report.TOLERANCES``). Rounding moves scores, and a weight A by
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
        """The tolerance in which each weight may be off by ``weight``."""
        return cls(weight, max(4 * weight, SINGLE))

    def by_rounding(self, theirs: Mapping[Place, Tensor], exact: Mapping[Place, Tensor]) -> Tolerance:
        """The tolerance that rounding explains: transformers' weights (…, M) are ``theirs``, and ``exact`` in float64.

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
    """The largest difference of each kind of value that is shown, divided by its tolerance; at most 1 passes.

    ``layers`` have tolerances of their own, by the model's number of the layer.
    """

    tolerance: Tolerance
    layers: Mapping[int, Tolerance] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)
    _most: dict[str, float] = field(default_factory=lambda: {"weights": 0.0, "figures": 0.0})

    def within(self, layer: int) -> Differences:
        """A view with the tolerance of one ``layer``; what is noted there is noted here too."""
        return Differences(self.layers.get(layer, self.tolerance), self.layers, self.found, self._most)

    @property
    def weights(self) -> float:
        """The largest |Δ| of two links' weights."""
        return self._most["weights"]

    @property
    def figures(self) -> float:
        """The largest |Δ| of other values, relative to the value if that is above 1."""
        return self._most["figures"]

    def values(self, what: str, shown: Tensor, right: Tensor, of: Tensor | None = None) -> None:
        """Note how far the values ``shown`` are from the ``right`` ones; NaN must be in the same entries of both.

        ``of`` is the value that the tolerance is relative to, if that is not the value itself.
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
        """Note by how much each ``value`` exceeds its limit ``most``."""
        value, most = value.double(), most.double()
        self.parts(what, (value - most).clamp(min=0) / self.tolerance.allows(most))

    def never(self, what: str, *, happens: bool | Tensor) -> None:
        """Note a mistake that rounding can't cause, if it ``happens``."""
        if bool(torch.as_tensor(happens).any()):
            self.parts(what, torch.tensor(torch.inf))

    def parts(self, what: str, parts: Tensor) -> None:
        """Note differences that are already divided by their tolerance."""
        if parts.numel():
            most = float(parts.nan_to_num(nan=torch.inf).max())
            self.found[what] = max(self.found.get(what, 0.0), most)

    @property
    def apart(self) -> float:
        """The largest of all."""
        return max(self.found.values(), default=0.0)

    @property
    def worst(self) -> str:
        """The kind of value that has the largest difference."""
        return max(self.found, key=self.found.__getitem__, default="")
