"""The questions about a model, not about a text: what is each head for?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

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
        clusters: int | Literal["auto"] | None = None,
        seed: int = 0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Table:
        """What each head is for, as ``attnviz heads`` says it: roles, with scores and intervals.

        Without ``texts`` it is what heads do with random tokens that repeat (induction, previous, duplicate), and how
        much the first token takes of natural text (sink). With texts it is all roles over these.

        Args:
            texts: the documents, one by one; an error stands for one that could not be read.
            role: the role by whose score the heads are ranked.
            clusters: put heads that behave alike into so many clusters; ``"auto"``: as many as part them best.
            seed: of the random tokens, and of the documents whose rows are compared.
            on_progress: is told how many more documents and tokens are done.

        Raises:
            UsageError: there is no such role; clusters without scipy.
            InputError: there are no texts, or none that could be measured.
            ModelError: the model can't be run.
        """
        from attnviz.analysis.corpus.asked import HeadQuestion
        from attnviz.interface.tables import Table

        if isinstance(texts, str):
            raise UsageError("`texts` is one text, expected a list", hint="Give model.heads([text]).")
        if clusters is not None and clusters != "auto" and (isinstance(clusters, bool | str) or clusters < 2):
            raise UsageError(f"`clusters` is {clusters!r}, expected a number from 2 on, or auto")
        self.follow()
        asked = HeadQuestion(self.name, self.backend, self.checkpoint.tokenizer, role, clusters, seed)
        return Table.of(asked.of_random_tokens() if texts is None else asked.of_texts(texts, on_progress))

    def circuits(self, *, edges: bool = False) -> Table:
        """What heads do by their weights alone, without any text, as ``attnviz heads --circuits`` says it.

        Args:
            edges: a row for each pair of heads of which the later one composes with the earlier one, instead of one for
                each head.

        Raises:
            UsageError: attnviz does not run the model by its own forward pass, and so does not know its matrices.
            ModelError: the checkpoint is damaged.
        """
        from attnviz.analysis.corpus.circuits import circuits_table
        from attnviz.interface.tables import Table
        from attnviz.model.circuits import read_circuits

        self.follow()
        if self.backend.name != "native":
            raise UsageError(f"{self.name} has no circuits here: they are read of models that attnviz runs natively")
        found = read_circuits(self.backend.network, self.checkpoint)
        return Table.of(circuits_table(found, self.name, edges=edges))

    def relations(
        self,
        treebank: Treebank | Sentences,
        *,
        relations: Sequence[str] = (),
        merge_subtypes: bool = False,
        least: int | None = None,
        all_heads: bool = False,
    ) -> Table:
        """Which head finds the heads of a treebank's words, relation by relation, as ``attnviz relations`` does.

        Args:
            treebank: a file in CoNLL-U, its text, or its sentences, as text or as the library ``conllu`` has them; or
                pairs of words, mappings with ``text``, ``from``, ``to`` and ``relation``.
            relations: only these; none for all that it has.
            merge_subtypes: take ``nsubj:pass`` for ``nsubj``.
            least: leave out relations with fewer words in one half of the sentences; None is 10.
            all_heads: a row for each head and relation, not for the best head alone.

        Raises:
            InputError: there is no tree, or no sentence that the model can read.
            UsageError: the treebank has no such relation.
            ModelError: the model can't be run.
        """
        return find_relations(
            self, open_treebank(treebank), relations=relations, merge_subtypes=merge_subtypes, least=least,
            all_heads=all_heads,
        )  # fmt: skip
