"""``attnviz export``: a text's attention as a picture, or as a record to read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import console, source
from attnviz.cli.files import output_path, replaced
from attnviz.cli.options import (
    FromOption,
    MapOptions,
    MemoryOption,
    ModelOptions,
    TextOptions,
    parse_heads,
    parse_size,
    spread,
)
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.analysis.summary import Heads
    from attnviz.record import Attention
    from attnviz.render.figure import Style

PICTURES = (".png", ".svg", ".pdf")


@spread
def export(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[TEXT] OUT", help="The text (- reads standard input; none with --file or --from), and the file."
        ),
    ],
    *,
    reading: TextOptions,
    record: FromOption = None,
    model: ModelOptions,
    maps: MapOptions,
    theme: Annotated[
        Literal["light", "dark"], typer.Option(help="Paper or night.", rich_help_panel="Picture")
    ] = "light",
    cmap: Annotated[
        str | None, typer.Option(help="ink, ember, or a colour map of matplotlib.", rich_help_panel="Picture")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Inches, such as 8x6.", rich_help_panel="Picture")
    ] = None,
    dpi: Annotated[int, typer.Option(min=20, max=1200, help="Pixels an inch.", rich_help_panel="Picture")] = 200,
    title: Annotated[str | None, typer.Option(help="Instead of model and head.", rich_help_panel="Picture")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    max_memory: MemoryOption = None,
) -> None:
    """Write a picture (.png, .svg, .pdf) of all heads or one, or a record (.json, .safetensors).

    Without --layer and --head the picture is a grid of all heads; with them, one head with its words.
    """
    text, out = _arguments(arguments)
    heads, inches = parse_heads(maps.layer, maps.head), parse_size(size)
    from attnviz import record as records
    from attnviz.render.labels import clean

    path = output_path(out, PICTURES + records.FORMATS, force=force)
    if path.suffix in records.FORMATS and (heads.chosen or maps.which):
        raise UsageError(f"a {path.suffix} record holds all heads and maps: --map, --layer and --head are for pictures")
    found, _ = source.attend(text, reading, record, model, max_memory=max_memory)
    if path.suffix in records.FORMATS:
        with replaced(path, force=force) as partial:
            records.write(found, partial, path.suffix)
    else:
        from attnviz.render import figure

        style = figure.Style(theme, cmap, inches, dpi, title)
        picture = _draw(source.pick_map(found, maps.which), heads, style, tokens=maps.tokens, special=maps.special)
        with replaced(path, force=force) as partial, partial.open("wb") as stream:
            missing = figure.save(picture, stream, path.suffix)
        if missing:
            boxes = f"no installed font has {' '.join(missing)}: drawn as boxes"
            console.warn(boxes, "Install a font that has them, such as Noto Sans CJK.")
    console.output().print(f"wrote {clean(str(path))}", soft_wrap=True)


def _arguments(arguments: list[str]) -> tuple[str | None, str]:
    """The text, where there is one, and the output."""
    if len(arguments) > 2:
        raise UsageError(
            f"{len(arguments)} arguments are given, expected a text and a file", hint="Put the text in quotation marks."
        )
    return (arguments[0] if len(arguments) == 2 else None), arguments[-1]


def _draw(attention: Attention, heads: Heads, style: Style, *, tokens: bool, special: bool) -> Figure:
    from attnviz.analysis.links import positional_heads, select
    from attnviz.analysis.summary import pick_maps
    from attnviz.analysis.units import in_tokens, in_words
    from attnviz.render import figure

    units = in_tokens(attention) if tokens else in_words(attention)
    if not heads.chosen:
        return figure.draw_grid(attention, units, style, special=special)
    selection = select(units, positional_heads(attention), causal=attention.causal, special=special)
    maps = pick_maps(selection, heads, special=special)
    if len(maps) > 1:
        raise UsageError(f"--layer and --head name {len(maps)} heads, a picture shows one, or all of them as a grid")
    return figure.draw_head(attention, units, maps[0], style)
