"""The questions about a model, not about a text: what is each head for?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from attnviz.errors import AttnvizError, UsageError
from attnviz.interface.opened import Opened
from attnviz.interface.treebanks import Sentences, find_relations, open_treebank

if TYPE_CHECKING:
    from attnviz.analysis.corpus.treebank import Treebank
    from attnviz.interface.tables import Table


class Answering(Opened):
    """An opened model that answers what its heads are for."""

    def heads(
        self,
        texts: Iterable[str | AttnvizError] | None = None,
        *,
        role: str | None = None,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Table:
        """What each head is for, as ``attnviz heads`` says it: roles, with scores and intervals.

        Without ``texts`` it is what heads do with random tokens that repeat (induction, previous, duplicate), and how
        much the first token takes of natural text (sink). With texts it is all roles over these.

        Args:
            texts: the documents, one by one; an error stands for one that could not be read.
            role: the role by whose score the heads are ranked.
            seed: of the random tokens.
            on_progress: is told how many more documents and tokens are done.

        Raises:
            UsageError: there is no such role.
            InputError: there are no texts, or none that could be measured.
            ModelError: the model can't be run.
        """
        from attnviz.analysis.corpus.alone import heads_of
        from attnviz.analysis.corpus.heads import (
            RANDOM,
            heads_table,
            random_roles,
            require_role,
            sink_columns,
            sink_notes,
        )
        from attnviz.analysis.corpus.induction import repeats
        from attnviz.analysis.corpus.measuring import Reader
        from attnviz.analysis.corpus.roles import roles
        from attnviz.analysis.corpus.sinks import sinks
        from attnviz.analysis.text.observing import is_causal
        from attnviz.encoding import decoder_start
        from attnviz.interface.tables import Table

        if isinstance(texts, str):
            raise UsageError("`texts` is one text, expected a list", hint="Give model.heads([text]).")
        require_role(role, texts=texts is not None)
        self.follow()
        backend, tokenizer, about = self.backend, self.checkpoint.tokenizer, {"model": self.name}
        start = decoder_start(tokenizer, 0)
        causal = is_causal(backend, start, start if "cross" in backend.kinds else None, backend.kinds[0])
        if texts is not None:
            reader = Reader(backend, tokenizer, causal, on_progress or (lambda *_: None))
            corpus = reader.corpus(texts, seed=seed)
            counts = corpus.counts
            failed = f", {counts.failed:,} failed ({corpus.failures[0].text})" if counts.failed else ""
            note = f"{counts.measured:,} documents of {counts.tokens:,} tokens{failed}."
            found = {"documents": counts.measured, "failed": counts.failed, "tokens": counts.tokens, "seed": seed}
            return Table.of(
                heads_table(roles(corpus), corpus.layers, corpus.heads, role=role, about=about | found, notes=[note])
            )
        layers = heads_of(backend, tokenizer)
        repeated = repeats(backend, tokenizer, seed=seed, causal=causal)
        rates = sinks(backend, tokenizer, seed=seed) if causal else None
        return Table.of(
            heads_table(
                random_roles(repeated, rates, [*layers]),
                [*layers],
                max(layers.values()),
                role=role,
                about=about | {"seed": seed, "sink_rates": dict(rates.rates) if rates else None},
                more=sink_columns(rates) if rates else {},
                notes=[RANDOM, *sink_notes(rates, causal=causal)],
            )
        )

    def relations(
        self,
        treebank: Treebank | Sentences,
        *,
        relations: Sequence[str] = (),
        merge_subtypes: bool = False,
        least: int | None = None,
    ) -> Table:
        """Which head finds the heads of a treebank's words, relation by relation, as ``attnviz relations`` does.

        Args:
            treebank: a file in CoNLL-U, its text, or its sentences, as text or as the library ``conllu`` has them; or
                pairs of words, mappings with ``text``, ``from``, ``to`` and ``relation``.
            relations: only these; none for all that it has.
            merge_subtypes: take ``nsubj:pass`` for ``nsubj``.
            least: leave out relations with fewer words in one half of the sentences; None is 10.

        Raises:
            InputError: there is no tree, or no sentence that the model can read.
            UsageError: the treebank has no such relation.
            ModelError: the model can't be run.
        """
        return find_relations(
            self, open_treebank(treebank), relations=relations, merge_subtypes=merge_subtypes, least=least
        )
