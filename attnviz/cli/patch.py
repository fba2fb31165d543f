"""``attnviz patch``: which head moves the answer to a corrupt text back to that of a clean one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from attnviz.cli import source
from attnviz.cli.answers import AnswerOptions, give_answer
from attnviz.cli.effect_options import EFFECT, EffectReadOptions, TargetOptions, head_names
from attnviz.cli.options import TEXT, ModelOptions, spread
from attnviz.cli.parsing import parse_heads
from attnviz.errors import UsageError


@dataclass(frozen=True)
class PatchReadOptions(EffectReadOptions):
    """What the model reads, beside the two texts."""

    decoder_text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The decoder's text before the target, for encoder–decoders.",
            show_default="its start alone",
            rich_help_panel=TEXT,
        ),
    ] = None


@spread
def patch(
    clean: Annotated[str | None, typer.Argument(help="The text with the answer; - reads standard input.")] = None,
    corrupt: Annotated[str | None, typer.Argument(help="The same with another answer, of as many tokens.")] = None,
    *,
    what: Annotated[
        Literal["output", "pattern"],
        typer.Option(
            metavar="WHAT",
            help="What of a head comes from the clean text: its output, or its pattern, the weights.",
            rich_help_panel=EFFECT,
        ),
    ] = "output",
    path: Annotated[
        str | None,
        typer.Option(
            metavar="L.H|L.H,L.H|all",
            help="Rank the ways straight from a head to later ones; from one to another; or all ways.",
            rich_help_panel=EFFECT,
        ),
    ] = None,
    through_mlps: Annotated[
        bool, typer.Option("--through-mlps", help="With --path: ways may lead through MLPs.", rich_help_panel=EFFECT)
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L.H", help="Only this head: 5.7, L5H7, or 5.* for all of a layer. May be repeated.",
            rich_help_panel=EFFECT,
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="N,N-N", help="Only the heads of these layers.", rich_help_panel=EFFECT)
    ] = None,
    which: Annotated[
        Literal["encoder", "decoder", "cross"] | None,
        typer.Option("--map", metavar="WHICH", help="Whose heads, of an encoder–decoder.", rich_help_panel=EFFECT),
    ] = None,
    wanted: TargetOptions,
    reading: PatchReadOptions,
    model: ModelOptions,
    answer: AnswerOptions,
) -> None:  # fmt: skip
    """Rank all heads by how far each moves the answer to a corrupt text back, if it does what it does in a clean one.

    With --path the ways are ranked by which what a head writes gets there.
    """
    answer.place()
    if clean is None or corrupt is None:
        raise UsageError(
            "two texts are needed, a clean one and a corrupt one",
            hint='Give both: attnviz patch "Paris is in" "Rome is in" --target France --against Italy',
        )
    heads = head_names(head)
    if layer is not None:
        heads = [*(heads or ()), *(f"{number}.*" for number in parse_heads(layer, None).layers or ())]
    texts = [source.read_text(each, None, "patch") for each in (clean, corrupt)]
    asked: dict[str, Any] = {"what": what, "path": path, "through_mlps": through_mlps, "heads": heads}
    asked |= {"attention": which, **reading.given(), **wanted.wanted()}
    loaded = model.load()
    source.explain(loaded)
    from attnviz.cli.progress import step_progress

    with step_progress("runs") as steps:
        found = loaded.patch(texts[0], texts[1], **asked, on_progress=steps)
    give_answer(found, answer)
