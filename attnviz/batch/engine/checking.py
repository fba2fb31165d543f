"""The check of a corpus: the rows of some documents, as they are written, against transformers' own attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from attnviz.analysis.corpus.alone import run_alone
from attnviz.analysis.corpus.metrics import Measured
from attnviz.analysis.text.others import LayerWindows
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.batch.engine.work import Worker
from attnviz.batch.output.result import DocumentResult
from attnviz.encoding import Encoding, decoder_start
from attnviz.errors import AttnvizError, count_of
from attnviz.model.inputs import as_error

if TYPE_CHECKING:
    from attnviz.analysis.check.tables import MeasuredDocument
    from attnviz.model.check.judge import Judge
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Mode = Literal["none", "sample", "all"]
FIRST = 3
"""The first documents of a run that are checked, whatever is drawn."""
EVERY = 100
"""One document in so many is drawn, by its content: the same ones in every run, however it was cut or resumed."""
NAMED = 100
"""The most documents beyond a tolerance that are named; all of them are counted."""
_REASONS = 5
"""The most reasons that are kept: each document may have one of its own."""


@dataclass(frozen=True)
class Checked:
    """What the check found: of how many ``documents``, the largest |Δ| of two links' weights, and of two figures.

    ``figures_apart`` is that of a figure to what transformers' weights say, as a part of the figure where it is above
    1. ``beyond`` is how many documents are beyond what rounding explains, and ``failed`` are the first of these by
    number, ``NAMED`` at most; ``differ`` is what differs most in one of them. ``unchecked`` is how many could not be
    checked, and ``reasons`` why. Of ``partly`` the figures of some heads were checked, as many as long texts allow; of
    ``links_only`` no figures were, as transformers read ``read`` of their ``windows`` and not each one.
    ``inputs`` says of the first document that transformers' tokenizer reads otherwise what differs.
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
    differ: str = ""
    partly: int = 0
    links_only: int = 0
    read: int = 0
    windows: int = 0

    @property
    def passed(self) -> bool | None:
        """Whether all documents that were checked agree; None if none could be checked."""
        return not self.failed if self.documents else None

    def __str__(self) -> str:
        """The verdict in words."""
        if not self.documents:
            return f"not made: {self.reasons[0]}" if self.reasons else "not made"
        documents = count_of(self.documents, "document")
        weights = f"at most {self.max_abs_diff:.1e} apart" if self.max_abs_diff else "the same to the last bit"
        words = f"{documents} against transformers: links {weights}, figures at most {self.figures_apart:.1e}"
        if self.partly:
            words += f" (of {self.partly:,} long ones in some of the heads)"
        if self.links_only:
            some = f"{self.read:,} of their {self.windows:,} windows"
            words += f" (of {self.links_only:,} very long ones no figures, and the links in {some})"
        if self.failed:
            beyond = ", ".join(map(str, self.failed[:5])) + (" …" if self.beyond > 5 else "")
            words += f"; beyond what rounding explains in {self.beyond:,} of them (number {beyond}; {self.differ})"
        if self.inputs:
            words += f"; texts are read otherwise than by transformers: {self.inputs}"
        return words + (f"; {self.unchecked:,} could not be checked: {self.reasons[0]}" if self.unchecked else "")


def merge_checks(parts: Iterable[Checked]) -> Checked:
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
        differ=next((part.differ for part in all_ if part.differ), ""),
        partly=sum(part.partly for part in all_),
        links_only=sum(part.links_only for part in all_),
        read=sum(part.read for part in all_),
        windows=sum(part.windows for part in all_),
    )


@dataclass
class Checker:
    """Checks the results of a ``worker``. The model of transformers is opened with the first document and kept."""

    worker: Worker
    mode: Mode
    _judge: Judge | None = field(default=None, init=False)

    def check(self, found: Sequence[DocumentResult]) -> Checked | None:
        """The verdict on the documents that are drawn; None if none are."""
        drawn = [each for each in found if self._drawn(each)]
        checked = [
            self._check(each.document.number, self._document(each.encoding, each.target, each.measured))
            for each in drawn
            if each.encoding and each.measured
        ]
        return merge_checks(checked) if checked else None

    def _drawn(self, found: DocumentResult) -> bool:
        document = found.document
        by_chance = int(document.id[:12], 16) % EVERY == 0
        return self.mode == "all" or (self.mode == "sample" and (document.number < FIRST or by_chance))

    def _check(self, number: int, document: MeasuredDocument) -> Checked:
        from attnviz.model.check.judge import Judge  # with it comes transformers
        from attnviz.model.check.references import NoReferenceWeights

        self._judge = self._judge or Judge(self.worker.model.checkpoint)
        try:
            self.worker.model.require_checkable()
            return self._judged(self._judge, number, document)
        except NoReferenceWeights:
            why = "transformers' eager attention gives no weights, or wrong ones, to compare with"
            return Checked(unchecked=1, reasons=(why,))
        except (AttnvizError, RuntimeError, MemoryError) as error:
            return Checked(unchecked=1, reasons=(as_error(error).message,))

    def _judged(self, judge: Judge, number: int, document: MeasuredDocument) -> Checked:
        """The verdict on a document."""
        from attnviz.analysis.check.differences import Tolerance
        from attnviz.analysis.check.tables import differences_of
        from attnviz.model.backends import WIDER
        from attnviz.model.check.references import contradicts_itself, examine_by_either
        from attnviz.model.check.report import COARSE, tolerance_of

        model = self.worker.model
        options, checkpoint = model.options, model.checkpoint
        tolerance = COARSE if checkpoint.quantised else tolerance_of(options.dtype)
        near = judge.of(options, model.backend)
        read = document.pieces()[0][0]
        texts = (read.encoding if read else document.encoding), document.target
        (found, theirs, full), by = examine_by_either(
            lambda by: differences_of(document, near, Tolerance.of(tolerance), by),
            lambda found: found[0].apart <= 1,
            lambda: document.whole and contradicts_itself(near, texts, document.kind, document.numbers),
        )
        if found.apart > 1 and options.dtype in WIDER and not checkpoint.quantised:
            exact = replace(options, dtype=WIDER[options.dtype])
            wider = judge.of(exact, None)
            rows = differences_of(document, wider, Tolerance.of(tolerance), by, figures=False)[1]
            rounded = Tolerance.of(tolerance)
            own = {number: rounded.by_rounding({number: some}, rows) for number, some in theirs.items()}
            found, _, full = differences_of(document, wider, rounded.by_rounding(theirs, rows), by, own=own)
        windows = document.windows
        reads = windows.sample if windows else [document.encoding]
        inputs = model.inputs_anew((read, document.target) for read in reads).differs
        passed = found.apart <= 1 and not inputs
        return Checked(
            1,
            float(np.nan_to_num(found.weights)),  # JSON has no infinity
            tolerance,
            found.figures,
            () if passed else (number,),
            beyond=0 if passed else 1,
            differ="" if passed else found.worst if found.apart > 1 else "its tokens",
            partly=int(document.every and full < len(document.numbers) * document.heads),
            links_only=int(not document.every),
            read=0 if document.every else len(document.pieces()),
            windows=0 if document.every else len(windows or ()),
            inputs=inputs,
        )

    def _document(self, encoding: Encoding, target: Encoding | None, measured: Measured) -> MeasuredDocument:
        from attnviz.analysis.check.tables import MeasuredDocument
        from attnviz.model.backends import MAX_KEPT_BYTES
        from attnviz.model.hosted import why_not_hostable
        from attnviz.model.native.backend import Native

        worker = self.worker
        if target is not None:
            return self._pair(encoding, target, measured)
        backend, windows = worker.model.backend, worker.windows(encoding)
        longest = max((window.encoding for window in windows), key=len) if windows else encoding
        size = 4 * len(longest) ** 2 * measured.figures.shape[0] * measured.figures.shape[1]
        alone = isinstance(backend, Native) and why_not_hostable(worker.model.checkpoint.config) is not None
        return MeasuredDocument(
            encoding=encoding,
            measured=measured,
            windows=windows,
            request=worker.how.request,
            causal=worker.causal,
            layer_windows=layer_windows(backend, longest),
            kind=backend.kinds[0],
            target=self._target(encoding),
            whole=alone or size <= MAX_KEPT_BYTES,
        )

    def _pair(self, source: Encoding, target: Encoding, measured: Measured) -> MeasuredDocument:
        from attnviz.analysis.check.pairs import MeasuredPair

        windows = dict.fromkeys(self.worker.heads, EVERYTHING)
        how = self.worker.how.request
        return MeasuredPair(source, measured, None, how, False, windows, "cross", target, whole=True)

    def _target(self, encoding: Encoding) -> Encoding | None:
        """What the decoder of an encoder–decoder reads, so that its encoder can be checked: its start, and no more."""
        backend = self.worker.model.backend
        if "cross" not in backend.kinds:
            return None
        return (
            encoding if backend.start is None else decoder_start(self.worker.model.checkpoint.tokenizer, backend.start)
        )


def layer_windows(backend: Native | Hosted, encoding: Encoding) -> dict[int, KeyWindow]:
    """How far the queries of each layer see that reads a text: of a hosted model a run of it shows that."""
    if backend.name == "native":
        spec = backend.network.spec.encoder or backend.network.spec
        return {number: attention.window for number, attention in spec.attentions.items()}
    seen = LayerWindows()
    run_alone(backend, encoding, [seen])
    return {number: KeyWindow(*span) for number, span in seen.found.items()}
