"""The ``Model`` that ``load`` gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.errors import UsageError
from attnviz.interface.answering import Answering
from attnviz.interface.contributing import Contributing
from attnviz.interface.intervening import Intervening
from attnviz.interface.judged import Judged
from attnviz.interface.patching import Patching
from attnviz.interface.rows import Given, check_given
from attnviz.interface.text_answers import TextAnswering

if TYPE_CHECKING:
    from attnviz.model.check.judge import Check, Judge, OnLayerChecked


class Model(Judged, Answering, Contributing, Intervening, Patching, TextAnswering):
    """A model that attends. Made by ``load``."""

    def check(
        self,
        text: str | None = None,
        pair: str | None = None,
        target: str | None = None,
        *,
        generate: int | None = None,
        float64: bool = False,
        truncate: bool = False,
        chat: bool = False,
        progress: OnLayerChecked | None = None,
        judge: Judge | None = None,
        input_ids: Any = None,
        **beside: Any,
    ) -> Check:
        """Attend, and judge that by transformers' own attention, in every layer and head; loads transformers.

        ``check(…).max_abs_diff`` is the largest difference of two weights. Of a long text, the weights of 64 queries
        are compared; ``progress`` is told how far that is. A ``judge`` keeps transformers' model for the next text.
        ``input_ids`` and what is given ``beside`` them are as for ``attend``: transformers runs the very rows, with
        padding and mask, and the worst is the verdict.

        Args:
            float64: run both sides in double precision.

        Raises:
            InputError, UsageError, ModelError: as ``attend``; also a model that transformers can't load.
        """
        import torch

        options: dict[str, Any] = {"generate": generate, "truncate": truncate, "chat": chat}
        if input_ids is not None or beside:
            given = Given.of(text, input_ids, beside, {"pair": pair, "target": target, **options})
            return check_given(self, given, float64=float64)
        if text is None:
            raise UsageError("no text is given", hint='Give one, or input_ids: model.check("The bank …")')

        self.require_checkable()
        if float64 and self.options.dtype is not torch.float64 and not self.checkpoint.quantised:
            exact = Model(self.checkpoint, replace(self.options, dtype=torch.float64))
            return exact.check(
                text, pair, target, generate=generate, truncate=truncate, chat=chat, progress=progress, judge=judge
            )
        found = self.inspect(text, pair, target, request=record.Request(), **options)
        return self.check_record(found, progress, judge)
