"""``attnviz ablate``: what changes in what the model says without a head."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.documents import DocumentOptions, read_texts
from attnviz.cli.effect_options import EFFECT, EffectTextOptions, TargetOptions, head_names
from attnviz.cli.options import VIEW, ModelOptions, spread
from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.errors import AttnvizError


@spread
def ablate(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L.H", help="A head: 5.7, L5H7, or 5.* for all of a layer. May be repeated.", rich_help_panel=EFFECT
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Each head by itself, which is the default.", rich_help_panel=EFFECT)
    ] = False,
    role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="The heads with a role: induction, previous, duplicate or sink.",
            rich_help_panel=EFFECT,
        ),
    ] = None,
    which: Annotated[
        Literal["encoder", "decoder", "cross"] | None,
        typer.Option("--map", metavar="WHICH", help="Whose heads, of an encoder–decoder.", rich_help_panel=EFFECT),
    ] = None,
    mean: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILES", help="Put a head's mean over texts in its place. May be repeated.", rich_help_panel=EFFECT
        ),
    ] = None,
    freeze: Annotated[
        Literal["uniform", "mean"] | None,
        typer.Option(
            metavar="WHAT",
            help="Freeze a head's weights: uniform, or their mean over the texts of --mean.",
            rich_help_panel=EFFECT,
        ),
    ] = None,
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="TEXT", help="Give a head the weights of another text.", rich_help_panel=EFFECT),
    ] = None,
    cut: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="FROM TO", help="Cut the link from a word to a word.", rich_help_panel=EFFECT),
    ] = None,
    renormalise: Annotated[
        bool,
        typer.Option(
            "--renormalise/--no-renormalise",
            help="With --cut: divide what is left of the row by its sum.",
            rich_help_panel=EFFECT,
        ),
    ] = True,
    by_word: Annotated[
        bool, typer.Option("--by-word", help="A row for each head and word.", rich_help_panel=VIEW)
    ] = False,
    rank: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column that heads are ranked by, by size.", rich_help_panel=VIEW),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="With --role: the seed of random tokens.", rich_help_panel=EFFECT)
    ] = 0,
    wanted: TargetOptions,
    reading: EffectTextOptions,
    documents: DocumentOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:
    """Measure what changes in what the model says without a head, beside the other heads of its layer.

    Zeroed by default; or its mean, frozen weights, or a cut link. The model itself is never changed.
    """
    answer.place()
    chosen = head_names(head)
    if every and (chosen or role):
        raise UsageError("both --all and some heads are given", hint="Leave --all out.")
    if documents != DocumentOptions() and not mean:
        raise UsageError("--split, --text-field and --read-as are of the files of --mean, and none are given")
    read = source.read_text(text, reading.file, "ablate")
    asked: dict[str, Any] = {"heads": chosen, "role": role, "attention": which, "freeze": freeze, "seed": seed}
    asked |= {"as_": None if as_ is None else decode_argument(as_), "by_word": by_word, "rank": rank}
    asked |= {"cut": cut and tuple(map(decode_argument, cut)), "renormalise": renormalise}
    loaded = model.load()
    source.explain(loaded)
    from attnviz.cli.progress import step_progress

    with step_progress("runs") as steps, _texts(mean, documents) as texts:
        asked |= {**reading.given(), **wanted.wanted(), **texts}
        found = loaded.ablate(read, **asked, on_progress=steps)
    give_answer(found, answer)


@contextlib.contextmanager
def _texts(files: list[str] | None, documents: DocumentOptions) -> Iterator[dict[str, Any]]:
    """The texts of which means are made, if there are any, as keyword arguments."""
    if not files:
        yield {}
        return
    with read_texts(files, documents) as (texts, progress):
        given: Iterable[str | AttnvizError] = texts
        yield {"mean": given, "on_texts": progress}
