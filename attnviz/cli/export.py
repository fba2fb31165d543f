"""``attnviz export``: a text's attention as a picture, as a page, or as a record to read back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attnviz.cli import completion, console, page, source
from attnviz.cli.files import output_path, replace_output
from attnviz.cli.matplotlib_settings import isolate_matplotlib
from attnviz.cli.options import (
    FromOption,
    MapOptions,
    MemoryOption,
    ModelOptions,
    TextOptions,
    parse_inches,
    spread,
)
from attnviz.cli.reading import decode_argument
from attnviz.cli.request import read_request
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.record import Observation
    from attnviz.render.figure import Style

PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html",)
CELLS = 1000
"""The most cells across and down that are kept of a long text's maps for a picture."""


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
    start: FromOption = None,
    model: ModelOptions,
    maps: MapOptions,
    theme: Annotated[
        Literal["light", "dark"], typer.Option(help="A light or a dark background.", rich_help_panel="Picture")
    ] = "light",
    cmap: Annotated[
        str | None,
        typer.Option(
            help="ink, ember, or a colour map of matplotlib.",
            rich_help_panel="Picture",
            autocompletion=completion.complete_colour_map,
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Inches, such as 8x6.", rich_help_panel="Picture")
    ] = None,
    dpi: Annotated[int, typer.Option(min=20, max=1200, help="Pixels an inch.", rich_help_panel="Picture")] = 200,
    title: Annotated[
        str | None, typer.Option(help='The title, by default model and head; "" for none.', rich_help_panel="Picture")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    max_memory: MemoryOption = None,
) -> None:
    """Write a picture (.png, .svg, .pdf), a page (.html) to look around in, or a record (.json, .safetensors).

    Without --layer and --head the picture is a grid of all heads; with them, one head with its words.
    """
    text, out = _arguments(arguments)
    request, inches = read_request(maps, size=CELLS, evidence=False), parse_inches(size)
    from attnviz import record as records
    from attnviz.render.labels import clean

    path = output_path(out, PICTURES + PAGES + records.FORMATS, force=force)
    if text is None and reading.file is None and not start:
        raise _no_text()
    if path.suffix in PAGES:
        page.require_page_options(maps, {"--cmap": cmap, "--size": size, "--title": title, "--theme": theme == "dark"})
        request = replace(request, size=page.CELLS, top=page.KEPT, evidence=True)  # all weights, where they fit
        found, _ = source.observe_source(text, reading, start, model, request)
        written = page.page_of(found, page.command_of(text, start, reading, model, maps))
        with replace_output(path, force=force) as partial:
            partial.write_text(written, encoding="utf-8")
    elif path.suffix in records.FORMATS:
        if request.heads.chosen or maps.which or maps.rows or maps.cols:
            raise UsageError(
                f"a {path.suffix} record holds all heads and maps: "
                "--map, --layer, --head, --rows and --cols are for pictures"
            )
        record, _ = source.attend_source(text, reading, start, model, max_memory=max_memory)
        with replace_output(path, force=force) as partial:
            records.write(record, partial, path.suffix)
    else:
        isolate_matplotlib()
        from attnviz.render import figure

        found, _ = source.observe_source(text, reading, start, model, request)
        style = figure.Style(theme, cmap, inches, dpi, title and decode_argument(title))
        picture = _draw(found, style)
        with replace_output(path, force=force) as partial, partial.open("wb") as stream:
            missing = figure.save_figure(picture, stream, path.suffix)
        if missing:
            boxes = f"no installed font has {' '.join(missing)}: drawn as boxes"
            console.warn(boxes, "Install a font that has them, such as Noto Sans CJK.")
    console.output().print(f"wrote {clean(str(path))}", soft_wrap=True)


def _no_text() -> UsageError:
    return UsageError(
        "no text is given",
        hint='Give a sentence before the file: attnviz export "The bank approved the loan." heads.png (or --file)',
    )


def _arguments(arguments: list[str]) -> tuple[str | None, str]:
    """The text, where there is one, and the output."""
    if len(arguments) > 2:
        raise UsageError(
            f"{len(arguments)} arguments are given, expected a text and a file", hint="Put the text in quotation marks."
        )
    return (arguments[0] if len(arguments) == 2 else None), arguments[-1]


def _draw(found: Observation, style: Style) -> Figure:
    from attnviz.analysis.text.shown_maps import grid
    from attnviz.analysis.text.summary import summarise
    from attnviz.render import figure

    if not found.request.heads.chosen:
        return figure.draw_grid(found, grid(found), style)
    summary = summarise(found)
    count = len(summary.maps)
    if count > 1:
        raise UsageError(f"--layer and --head name {count} heads, a picture shows one, or all of them as a grid")
    return figure.draw_head(found, summary.units, summary.maps[0], style)
