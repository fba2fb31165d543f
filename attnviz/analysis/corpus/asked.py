"""What each head of a model is for: asked of random tokens, or of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from attnviz.analysis.corpus.alike import Sample, head_divergence
from attnviz.analysis.corpus.alone import heads_of
from attnviz.analysis.corpus.clusters import clusters_table
from attnviz.analysis.corpus.heads import RANDOM, heads_table, random_roles, require_role, sink_columns, sink_notes
from attnviz.analysis.corpus.induction import repeats
from attnviz.analysis.corpus.measuring import Reader, Text
from attnviz.analysis.corpus.roles import roles
from attnviz.analysis.corpus.sinks import natural_text, sinks
from attnviz.analysis.table import Table
from attnviz.analysis.text.observing import is_causal
from attnviz.encoding import Encoding, encode
from attnviz.errors import count_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Into = int | Literal["auto"]
"""How many clusters; ``auto``: as many as part the heads best."""


@dataclass(frozen=True)
class HeadQuestion:
    """The question, of a model.

    Args:
        name: the model's name.
        backend, tokenizer: the model.
        role: the role by whose score the heads are ranked; None: none.
        clusters: how many clusters the heads make; None: none are made.
        seed: of what is random.
    """

    name: str
    backend: Native | Hosted
    tokenizer: Tokenizer
    role: str | None = None
    clusters: Into | None = None
    seed: int = 0

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key."""
        return is_causal(self.backend, self.backend.kinds[0])

    def of_random_tokens(self) -> Table:
        """What heads do with random tokens that repeat, and how many are sinks; clusters are of natural text.

        Raises:
            UsageError: there is no such role without texts.
            ModelError: the model can't be run.
        """
        require_role(self.role, texts=False)
        causal, layers = self.causal, heads_of(self.backend, self.tokenizer)
        repeated = repeats(self.backend, self.tokenizer, seed=self.seed, causal=causal)
        rates = sinks(self.backend, self.tokenizer, seed=self.seed) if causal else None
        table = heads_table(
            random_roles(repeated, rates, [*layers]), [*layers], max(layers.values()), role=self.role,
            about={"model": self.name, "seed": self.seed, "sink_rates": dict(rates.rates) if rates else None},
            more=sink_columns(rates) if rates else {}, notes=[RANDOM, *sink_notes(rates, causal=causal)],
        )  # fmt: skip
        texts = natural_text() if self.clusters else []
        return self._clustered(table, [encode(self.tokenizer, text) for text in texts], causal=causal)

    def of_texts(self, texts: Iterable[Text], on_progress: Callable[[int, int], None] | None = None) -> Table:
        """All roles over the ``texts``, which are taken one by one; an error stands for one that could not be read.

        Raises:
            UsageError: there is no such role.
            InputError: there are no texts, or none that could be measured.
            ModelError: the model can't be run.
        """
        require_role(self.role, texts=True)
        causal, sample = self.causal, Sample(self.seed)
        reader = Reader(self.backend, self.tokenizer, causal, on_progress or (lambda *_: None), sample.add)
        corpus = reader.corpus(texts, seed=self.seed)
        counts = corpus.counts
        failed = f", {counts.failed:,} failed ({corpus.failures[0].text})" if counts.failed else ""
        about = {"documents": counts.measured, "failed": counts.failed, "tokens": counts.tokens, "seed": self.seed}
        table = heads_table(
            roles(corpus), corpus.layers, corpus.heads, role=self.role, about={"model": self.name, **about},
            notes=[f"{count_of(counts.measured, 'document')} of {count_of(counts.tokens, 'token')}{failed}."],
        )  # fmt: skip
        return self._clustered(table, sample.texts, causal=causal)

    def _clustered(self, table: Table, texts: Sequence[Encoding], *, causal: bool) -> Table:
        """The table with clusters, if they are asked for."""
        if self.clusters is None:
            return table
        alike = head_divergence(self.backend, self.tokenizer, texts, causal=causal, seed=self.seed)
        return clusters_table(table, alike, None if self.clusters == "auto" else self.clusters)
