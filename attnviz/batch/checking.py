"""The check of a corpus: some documents against transformers' own attention, and their rows against a run alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.alone import measure_alone
from attnviz.analysis.measured import METRICS, Measured
from attnviz.batch.found import Found
from attnviz.batch.work import Worker
from attnviz.encoding import Encoding, started
from attnviz.errors import AttnvizError
from attnviz.model.inputs import as_error

if TYPE_CHECKING:
    from attnviz.model.check import Judge

Mode = Literal["none", "sample", "all"]
FIRST = 3
"""So many documents of the run are checked whatever is drawn."""
EVERY = 100
"""One of so many is drawn by its content: the same ones in every run, however it was cut or resumed."""
FIGURES = 1e-4
"""How far a figure may be from that of a run alone, as a part of it: both are rounded, and added up in other orders."""

NAMED = 100
"""So many documents that are beyond a tolerance are named, the first ones; all of them are counted."""
_REASONS = 5
"""So many reasons are kept: each document may have one of its own."""
_AMOUNTS = np.array([metric.kind == "amount" for metric in METRICS])


@dataclass(frozen=True)
class Checked:
    """What the check found: of how many ``documents``, the largest |Δ| of two weights, and of two figures.

    ``figures_apart`` is that of the tables' figures to those of a run alone, as a part of the figure. ``beyond`` is how
    many documents are beyond a tolerance, and ``failed`` are the first of these by number, ``NAMED`` at most.
    ``unchecked`` is how many could not be checked, and ``reasons`` why. ``inputs`` says of the first document that
    transformers' tokenizer reads otherwise what differs.
    """

    documents: int = 0
    max_abs_diff: float = 0.0
    tolerance: float = 0.0
    figures_apart: float = 0.0
    failed: tuple[int, ...] = ()
    unchecked: int = 0
    reasons: tuple[str, ...] = ()
    beyond: int = 0
    inputs: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether all that were checked agree; None where none could be."""
        return not self.failed if self.documents else None

    def __str__(self) -> str:
        """The verdict in words."""
        if not self.documents:
            return f"not made: {self.reasons[0]}" if self.reasons else "not made"
        documents = f"{self.documents:,} documents" if self.documents > 1 else "1 document"
        weights = f"at most {self.max_abs_diff:.1e} apart" if self.max_abs_diff else "the same to the last bit"
        words = f"{documents} against transformers: weights {weights}, figures at most {self.figures_apart:.1e}"
        if self.failed:
            beyond = ", ".join(map(str, self.failed[:5])) + (" …" if self.beyond > 5 else "")
            words += f"; beyond {self.tolerance:.0e} or {FIGURES:.0e} in {self.beyond:,} of them (number {beyond})"
        if self.inputs:
            words += f"; texts are read otherwise than by transformers: {self.inputs}"
        return words + (f"; {self.unchecked:,} could not be checked: {self.reasons[0]}" if self.unchecked else "")


def together(parts: Iterable[Checked]) -> Checked:
    """The verdict on several chunks."""
    all_ = [*parts]
    return Checked(
        documents=sum(part.documents for part in all_),
        max_abs_diff=max((part.max_abs_diff for part in all_), default=0.0),
        tolerance=max((part.tolerance for part in all_), default=0.0),
        figures_apart=max((part.figures_apart for part in all_), default=0.0),
        failed=tuple(sorted(number for part in all_ for number in part.failed)[:NAMED]),
        unchecked=sum(part.unchecked for part in all_),
        reasons=tuple(dict.fromkeys(reason for part in all_ for reason in part.reasons))[:_REASONS],
        beyond=sum(part.beyond for part in all_),
        inputs=next((part.inputs for part in all_ if part.inputs), ""),
    )


@dataclass
class Checker:
    """Checks what a ``worker`` found; transformers' model is opened with the first document and kept."""

    worker: Worker
    mode: Mode
    _judge: Judge | None = field(default=None, init=False)

    def check(self, found: Sequence[Found]) -> Checked | None:
        """The verdict on those of the documents that are drawn; None where none are."""
        drawn = [each for each in found if self._drawn(each)]
        checked = [
            self._check(each.document.number, each.encoding, each.measured)
            for each in drawn
            if each.encoding and each.measured
        ]
        return together(checked) if checked else None

    def _drawn(self, found: Found) -> bool:
        document = found.document
        by_chance = int(document.id[:12], 16) % EVERY == 0
        return self.mode == "all" or (self.mode == "sample" and (document.number < FIRST or by_chance))

    def _check(self, number: int, encoding: Encoding, measured: Measured) -> Checked:
        from attnviz.model.check import Judge  # with it comes transformers

        worker = self.worker
        self._judge = self._judge or Judge(worker.model.checkpoint)
        try:
            windows = worker.windows(encoding)
            parts = windows.sample if windows else [encoding]
            checks = [worker.model.check_encoding(part, self._target(part), judge=self._judge) for part in parts]
            # A long document was run alone anyhow.
            alone = (
                measure_alone(worker.model.way, encoding, worker.how.asked) if worker.is_short(encoding) else measured
            )
        except (AttnvizError, RuntimeError, MemoryError) as error:
            return Checked(unchecked=1, reasons=(as_error(error).message,))
        apart = figures_apart(measured, alone)
        passed = all(check.passed for check in checks) and apart <= FIGURES
        return Checked(
            1,
            float(np.nan_to_num(max(check.max_abs_diff for check in checks))),  # JSON has no infinity
            max(check.tolerance for check in checks),
            apart,
            () if passed else (number,),
            beyond=0 if passed else 1,
            inputs=next((check.inputs.differs for check in checks if check.inputs.differs), ""),
        )

    def _target(self, encoding: Encoding) -> Encoding | None:
        """What the decoder of an encoder–decoder reads, so that its encoder can be checked: its start, and no more."""
        way = self.worker.model.way
        if "cross" not in way.kinds:
            return None
        return encoding if way.start is None else started(self.worker.model.checkpoint.tokenizer, way.start)


def figures_apart(one: Measured, other: Measured) -> float:
    """The largest |Δ| of two documents' figures that are amounts, as a part of the figure where it is above 1.

    A figure that only one of both has is off by all of it.
    """
    a, b = one.figures[..., _AMOUNTS], other.figures[..., _AMOUNTS]
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return 1.0
    apart: NDArray[np.float64] = np.abs(a - b) / np.maximum(1, np.abs(b))
    return float(np.nanmax(apart, initial=0))
