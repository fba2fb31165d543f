"""``attnviz relations``: which head knows which relation of a treebank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import console, source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.documents import require_installed, standard_input
from attnviz.cli.options import ModelOptions, spread
from attnviz.errors import SomeFailed, count_of, few

if TYPE_CHECKING:
    from attnviz.analysis.corpus.treebank import Given

_PANEL = "What is counted"


@spread
def relations(
    treebanks: Annotated[
        list[str],
        typer.Argument(
            metavar="TREEBANK",
            help="Files in CoNLL-U, folders, globs or URLs, or tables of pairs of words; - reads standard input.",
        ),
    ],
    *,
    relation: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this relation: nsubj. May be repeated.", rich_help_panel=_PANEL),
    ] = None,
    merge_subtypes: Annotated[
        bool, typer.Option("--merge-subtypes", help="Take nsubj:pass for nsubj.", rich_help_panel=_PANEL)
    ] = False,
    all_heads: Annotated[
        bool,
        typer.Option("--all-heads", help="All heads of each relation, not the best alone.", rich_help_panel=_PANEL),
    ] = False,
    least: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Leave out relations with fewer words in one half of the sentences.",
            rich_help_panel=_PANEL,
        ),
    ] = 10,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Tell which head finds the heads of a treebank's words, relation by relation.

    A head is chosen on one half of the sentences and judged on the other, beside the best fixed offset.
    """
    answer.place()
    require_installed("relations")
    from attnviz.analysis.corpus.treebank import read_trees
    from attnviz.cli.corpus_progress import corpus_progress
    from attnviz.interface.treebanks import find_relations

    treebank, loaded = read_trees(_sentences(treebanks)), model.load()
    with corpus_progress(console.errors(), None) as progress:
        found = find_relations(
            loaded,
            treebank,
            relations=relation or (),
            merge_subtypes=merge_subtypes,
            least=least,
            all_heads=all_heads,
            on_progress=progress.worked,
            source=few(treebanks),
        )
    source.explain(loaded)
    give_answer(found, answer)
    if treebank.broken:
        raise SomeFailed(
            f"{len(treebank.broken):,} of {count_of(treebank.sentences, 'sentence')} can't be read as trees",
            hint=few(treebank.broken),
        )


def _sentences(inputs: Sequence[str]) -> Iterator[Given]:
    """The sentences of all inputs, with the line where each begins."""
    from attnviz.analysis.corpus.treebank import Given
    from attnviz.analysis.corpus.word_pairs import FIELDS
    from attnviz.batch.input.options import ReadOptions
    from attnviz.batch.input.source import read_documents

    reading = ReadOptions(format="conllu", keep=FIELDS, trees=True)
    for each in read_documents(inputs, reading, stdin=standard_input(inputs)):
        yield Given(each.where, each.text, each.reason, each.kept if each.columns else None)
