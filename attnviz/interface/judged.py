"""What transformers' own attention says of what a model has shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from attnviz import record
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.interface.opened import Opened

if TYPE_CHECKING:
    from attnviz.model.check.judge import Check, Judge, OnLayerChecked
    from attnviz.model.check.report import InputCheck


class Judged(Opened):
    """An opened model whose records can be judged."""

    def check_record(
        self,
        found: record.Record | record.Observation,
        progress: OnLayerChecked | None = None,
        judge: Judge | None = None,
    ) -> Check:
        """Judge a record of this model by transformers' own attention: its weights, or what an observation shows.

        Of a text that was read in many windows the first, a middle and the last are checked.

        Raises:
            InputError: the record is of one stack of an encoder–decoder, and does not say what the other one read; the
                observation was made without ``evidence``; or there is no memory for what the check needs.
            UsageError: padding moved what the record shows, and it does not say which.
            ModelError: transformers can't load or run the model, or has other layers and heads than the record.
        """
        from attnviz.attention.intervened import CHANGED
        from attnviz.model.check.judge import Judge, check_logits, check_shown
        from attnviz.model.check.shown import Shown

        self.require_checkable()
        judge = judge or Judge(self.checkpoint)
        if isinstance(found, record.Observation) and found.whole is not None:
            found = found.whole
        if not isinstance(found, record.Observation):
            found = _attention_below(found)
        note = found.encoder.note if isinstance(found, record.EncoderDecoderRecord) else found.note
        if note.startswith(CHANGED):
            raise UsageError(f"{CHANGED} in this record, and what is checked is the model as it is")
        if isinstance(found, record.Observation):
            return self._check_observation(found, judge, progress)
        note = note.removeprefix(self.backend.own_note).lstrip("; ")
        if note:
            raise UsageError(
                f"the record is of a row whose {note}: it does not say with what the row was filled up",
                hint="Check the row itself: model.check(input_ids=…, attention_mask=…)",
            )
        shown = Shown.of(found)
        check = check_shown(shown, self.checkpoint, self.options, self.backend, judge)
        read = found if isinstance(found, record.AttentionRecord) else found.encoder
        if read.prediction and not self.checkpoint.quantised:
            side = judge.of(self.options, self.backend)
            check = replace(check, logits=check_logits(read.prediction, read.encoding, side))
        return replace(check, inputs=self.inputs_anew([(shown.encoding, shown.target)]))

    def _check_observation(self, found: record.Observation, judge: Judge, progress: OnLayerChecked | None) -> Check:
        from attnviz.analysis.check.observation import check_observation, texts_of
        from attnviz.model.check.references import NoReferenceWeights

        reads = [(read, None) for read in found.windows.sample] if found.windows else [texts_of(found)]
        try:
            check = check_observation(found, self.checkpoint, self.options, self.backend, judge, progress)
            return replace(check, inputs=self.inputs_anew(reads))
        except NoReferenceWeights:  # the hidden states of another run are compared instead
            checks = [self.check_encoding(*read, progress=progress, judge=judge) for read in reads]
            return replace(max(checks, key=lambda check: (not check.passed, check.max_abs_diff)), rerun=True)

    def check_encoding(
        self,
        encoding: Encoding,
        target: Encoding | None = None,
        *,
        progress: OnLayerChecked | None = None,
        judge: Judge | None = None,
    ) -> Check:
        """Check what the model reads; an encoder–decoder needs the ``target`` that its decoder reads too."""
        from attnviz.model.check.judge import check_encoding

        self.require_checkable()
        found = check_encoding(self.checkpoint, encoding, target, self.options, self.backend, progress, judge)
        return replace(found, inputs=self.inputs_anew([(encoding, target)]))

    def inputs_anew(self, reads: Iterable[tuple[Encoding, Encoding | None]]) -> InputCheck:
        """What transformers' own tokenizer makes of the texts that were read: what differs first."""
        found = [self._reader.compare(*read) for read in reads]
        return next((each for each in found if each.differs), found[0])

    def require_checkable(self) -> None:
        """Take over what has changed in a model in memory.

        Raises:
            UsageError: the model attends by itself, so that there is nothing of ours to check; or its heads are changed
                by ``intervene``, which transformers knows nothing of.
        """
        self.follow()
        if self.backend.interventions:
            raise UsageError(
                "heads are changed here, and what is checked is the model as it is",
                hint="Check outside of the block: with model.intervene(…)",
            )
        if self.uncheckable:
            raise UsageError(self.uncheckable)


def _attention_below(found: record.Record) -> record.Record:
    """The attention weights that a record was made of, which are what transformers has, too.

    Raises:
        UsageError: the record was read from a file, which does not hold them.
    """
    if isinstance(found, record.EncoderDecoderRecord):
        return record.EncoderDecoderRecord(*map(_below, (found.encoder, found.decoder, found.cross)))
    return _below(found)


def _below(found: record.AttentionRecord) -> record.AttentionRecord:
    below = found if found.measure == "attention" else found.below
    if below is None:
        raise UsageError(
            f"the record holds {found.measure}, and not the attention weights below, which could be checked",
            hint="Check the text: attnviz check TEXT",
        )
    return below
