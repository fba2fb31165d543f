"""``attnviz heads``: what each head is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.documents import DocumentOptions, read_texts
from attnviz.cli.options import VIEW, ModelOptions, spread
from attnviz.errors import UsageError, count_of

if TYPE_CHECKING:
    from attnviz.analysis.table import Table


@spread
def heads(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILES]", help="Texts, as batch reads them; none: random tokens, in seconds."),
    ] = None,
    *,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DIR", help="Results of attnviz batch, instead of texts.")
    ] = None,
    documents: DocumentOptions,
    role: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="Rank the heads by the score of a role.", rich_help_panel=VIEW),
    ] = None,
    clusters: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Put heads that behave alike into N clusters, or as many as part them best.",
            rich_help_panel=VIEW,
        ),
    ] = None,
    circuits: Annotated[
        bool,
        typer.Option("--circuits", help="What heads do by their weights alone: copy, compose.", rich_help_panel=VIEW),
    ] = False,
    edges: Annotated[
        bool, typer.Option("--edges", help="With --circuits: the pairs of heads that compose.", rich_help_panel=VIEW)
    ] = False,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed of random tokens.", rich_help_panel=VIEW)] = 0,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Say what each head is for: its roles, with their scores.

    Without files in seconds: induction, previous and duplicate tokens on random ones, and sinks.
    """
    answer.place()
    into = _clusters(clusters)
    if documents != DocumentOptions() and not inputs:
        raise UsageError("--split, --text-field and --read-as are of files, and none are given")
    if circuits or edges:
        if inputs or from_ is not None or role is not None or into is not None or seed:
            raise UsageError("--circuits are of weights alone, and texts, a role, clusters or a seed are given too")
        give_answer(model.load().circuits(edges=edges), answer)
        return
    if from_ is not None:
        if inputs:
            raise UsageError("both files and --from are given", hint="Results stand for the texts: leave one out.")
        if seed:
            raise UsageError("--seed is of texts, and --from has results", hint="Leave it out.")
        model.refuse("results hold their model")
        if into is not None:
            raise UsageError("--clusters compares rows, which results do not keep", hint="Give the texts themselves.")
        give_answer(_of_results(from_, role), answer)
        return
    loaded = model.load()
    if not inputs:
        found = loaded.heads(role=role, clusters=into, seed=seed)
        source.explain(loaded)
        give_answer(found, answer)
        return
    with read_texts(inputs, documents) as (texts, progress):
        found = loaded.heads(texts, role=role, clusters=into, seed=seed, on_progress=progress)
    source.explain(loaded)
    give_answer(found, answer)


def _clusters(given: str | None) -> int | Literal["auto"] | None:
    """``auto`` or a number of clusters."""
    if given is None or given == "auto":
        return given  # type: ignore[return-value]
    if not given.isdecimal() or not 2 <= int(given[:9]) < 10**6:
        raise UsageError(f"--clusters is {given!r}, expected a number from 2 on, or auto")
    return int(given)


def _of_results(where: str, role: str | None) -> Table:
    """The answer out of the folder of a run."""
    from attnviz.analysis.corpus.heads import heads_table, require_role
    from attnviz.batch.output.results import read_heads

    require_role(role, texts=True)
    found = read_heads(where)
    note = f"{count_of(found.about['documents'], 'document')}, from {where}."
    return heads_table(found.roles, found.layers, found.heads, role=role, about=found.about, notes=[note])
