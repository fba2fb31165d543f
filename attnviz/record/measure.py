"""What the numbers of a map measure: attention weights, or what is made of them to say where information comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attnviz.errors import UsageError, not_one_of

WeightsName = Literal[
    "attention",
    "norm",
    "norm+heads",
    "norm+residual",
    "rollout",
    "flow",
    "zeroing",
    "contribution",
    "contribution-",
    "gradient",
]


ALONG_PATHS = ("rollout", "flow")
"""What is made of the attention weights alone, along paths through all layers: where one does not attend, they end."""


def ask_for(*names: WeightsName) -> str:
    """Advise to ask for weights of one of the ``names``, those along paths only if they can be had."""
    others = " or ".join(name for name in names if name not in ALONG_PATHS)
    paths = " or ".join(name for name in names if name in ALONG_PATHS)
    return f"Ask for {', or '.join(filter(None, (others, paths and f'{paths} if all layers attend')))}"


@dataclass(frozen=True)
class Measure:
    """What the numbers of a map measure.

    Attributes:
        name: its name, as ``--weights`` takes it.
        formula: what a number is, for titles and scales.
        rows: what the row of a query says, for the title of a map.
        noun: what shares of a row are shares of.
        share: whether a row sums to 1 at most, so that its numbers are written in percent.
        by_layer: whether a layer has one map, in place of one for each head.
        cumulative: whether the map of a layer says what came through all layers up to it, so that the last says all.
        later: whether a number depends on what comes after its layer, so that it is known at the end of a run.
        answered: whether it is of one answer of the model, which the note of a record names.
        residual: whether a token's own part comes through the residual connection, too.
        source: the paper.
    """

    name: WeightsName
    formula: str
    rows: str
    noun: str
    share: bool = False
    by_layer: bool = False
    cumulative: bool = False
    residual: bool = False
    later: bool = False
    answered: bool = False
    source: str = ""

    @property
    def streamed(self) -> bool:
        """Whether it can be made of the weights of one head at a time, as they pass by."""
        return not self.by_layer and not self.later

    @property
    def plain(self) -> bool:
        """Whether these are the attention weights themselves."""
        return self.name == "attention"

    @property
    def title(self) -> str:
        """Its name and its formula, in one line."""
        return f"{self.name}: {self.formula}"


ATTENTION = Measure("attention", "attention weight", "each row looks at the columns", "attention", share=True)

MEASURES: Mapping[WeightsName, Measure] = {
    each.name: each
    for each in (
        ATTENTION,
        Measure(
            "norm",
            "‖A·f(x)‖",
            "each row takes from the columns",
            "value norms",
            source="Kobayashi et al. 2020",
        ),
        Measure(
            "norm+heads",
            "‖Σₕ A·f(x)‖",
            "each row takes from the columns",
            "norms",
            by_layer=True,
            source="Kobayashi et al. 2020",
        ),
        Measure(
            "norm+residual",
            "‖LN(x + Σₕ A·f(x))‖, by token",
            "each row is made of the columns",
            "norms",
            by_layer=True,
            residual=True,
            source="Kobayashi et al. 2021",
        ),
        Measure(
            "rollout",
            "share of all paths",
            "the paths of each row end in the columns",
            "rollout",
            share=True,
            by_layer=True,
            cumulative=True,
            residual=True,
            source="Abnar & Zuidema 2020",
        ),
        Measure(
            "flow",
            "largest flow",
            "so much flows from the columns to each row at most",
            "flow",
            by_layer=True,
            cumulative=True,
            residual=True,
            source="Abnar & Zuidema 2020",
        ),
        Measure(
            "zeroing",
            "1 − cos without the value",
            "each row changes without the columns",
            "changes",
            by_layer=True,
            source="Mohebbi et al. 2023",
        ),
        Measure(
            "contribution",
            "A·⟨f(x), d⟩⁺",
            "the columns add to the logit of what each row predicts",
            "what adds",
            later=True,
            answered=True,
            source="Elhage et al. 2021",
        ),
        Measure(
            "contribution-",
            "A·⟨f(x), d⟩⁻",
            "the columns take from the logit of what each row predicts",
            "what takes",
            later=True,
            answered=True,
            source="Elhage et al. 2021",
        ),
        Measure(
            "gradient",
            "mean over heads of (A·∂y/∂A)⁺",
            "each row looks at the columns, as far as that raises the answer",
            "gradient × attention",
            by_layer=True,
            later=True,
            answered=True,
            source="Chefer et al. 2021",
        ),
    )
}
"""All measures by name."""


def measure_of(name: WeightsName | None) -> Measure:
    """The measure of a name; None is attention."""
    return MEASURES[name or "attention"]


def require_measure(name: str | None) -> None:
    """Raise a ``UsageError`` if there is no measure of that name."""
    if name is not None and name not in MEASURES:
        raise not_one_of("`weights`", str(name), tuple(MEASURES))


def require_answer_of(name: str | None, of: str | int | None, against: str | int | None) -> None:
    """Raise a ``UsageError`` if an answer is named, and the measure of that name is of none."""
    answered = name in MEASURES and MEASURES[name].answered  # type: ignore[index]
    if not answered and (of is not None or against is not None):
        given = "`of`" if of is not None else "`against`"
        raise UsageError(
            f"{given} is given, and no weights that are of an answer",
            hint="Ask for the weights gradient or contribution as well.",
        )
