"""The question where a model's answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnviz.errors import UsageError
from attnviz.interface.opened import Opened, Words

if TYPE_CHECKING:
    from attnviz.attention.kernel import Observer
    from attnviz.interface.tables import Table


class Contributing(Opened):
    """An opened model that says what adds to its answer."""

    def contributions(
        self,
        text: str,
        target: str | int | None = None,
        against: str | int | None = None,
        *,
        at: str | None = None,
        by: str = "head",
        pair: str | None = None,
        decoder_text: str | None = None,
        generate: int | None = None,
        truncate: bool = False,
        chat: bool = False,
        words: Words | None = None,
        observers: Sequence[Observer] = (),
    ) -> Table:
        """Rank what adds to a logit, directly: each head and the words behind it, MLPs, embeddings and biases.

        The rows sum to the logit (direct logit attribution): of the next token or, of a classifier whose head is one
        linear layer, of a label.

        Args:
            text: the text.
            target: the word whose logit it is, or the label; None is what the model predicts. A number is a token's.
            against: a word or label whose logit is taken off.
            at: the word after which the token comes; None is the end. For a classifier of words, which word.
            by: ``head`` for a row for each part of the model, ``word`` for one for each word behind each head.
            decoder_text: what the decoder of an encoder–decoder reads; None: nothing, so that it is about the first
                token that it writes.
            pair, generate, truncate, chat, words: as for ``attend``.
            observers: others that see the run.

        Raises:
            UsageError: transformers runs the model; it has no head that predicts, or one that is no linear map of the
                last hidden states; there is no such word or label.
            InputError, ModelError: as ``attend``.
        """
        from attnviz.analysis.text.contributions import contributions_table
        from attnviz.analysis.text.links import only_unit
        from attnviz.analysis.text.units import read_in
        from attnviz.interface.tables import Table
        from attnviz.model.contributions import find_contributions

        self.follow()
        first = "cross" in self.backend.kinds and decoder_text is None and self.backend.labels is None
        if first and (at is not None or generate is not None):
            raise UsageError(
                "`at` and `generate` are of what the decoder reads, and no text is given to it",
                hint="Give it one with `decoder_text`.",
            )
        read, written = self.inputs(
            text, pair, decoder_text, generate=2 if first else generate, truncate=truncate, chat=chat, words=words
        )
        row = None
        decoded = read if written is None else written
        if first and written is not None:
            begun = len(written) - written.generated  # the code of a language may come first
            row = next((i for i in range(begun, len(written)) if not written.special[i]), begun) - 1
        elif at is not None:
            axis = read_in("word", decoded, None, ()).queries
            word = decoded.words[only_unit(axis, at, "word")]
            row = word.start if self.backend.labels is not None else word.stop - 1
        found = find_contributions(
            self.checkpoint, self.backend, read, written, target=target, against=against, row=row, observers=observers
        )
        keys = None if written is None else read
        return Table.of(contributions_table(found, decoded, keys, model=self.name, by=by))  # type: ignore[arg-type]
