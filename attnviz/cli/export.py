"""``attnviz export``: a text's attention as a picture, as a page, or as a record to read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnviz.cli import console, page, source
from attnviz.cli.files import output_path, replace_output
from attnviz.cli.map_options import MapOptions, ThresholdOption
from attnviz.cli.matplotlib_settings import isolate_matplotlib
from attnviz.cli.options import FromOption, MemoryOption, ModelOptions, NeuronsOption, TextOptions, spread
from attnviz.cli.parsing import parse_weight
from attnviz.cli.pictures import PictureOptions
from attnviz.cli.reading import decode_argument
from attnviz.cli.request import read_request
from attnviz.errors import UsageError, few, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.record import Heads, Observation, Request
    from attnviz.render.figure import Style

PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html",)


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
    picture: PictureOptions,
    threshold: ThresholdOption = None,
    neurons: NeuronsOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    max_memory: MemoryOption = None,
) -> None:
    """Write a picture (.png, .svg, .pdf), a page (.html) to look around in, or a record (.json, .safetensors).

    Without --layer and --head the picture is a grid of all heads; with them, these heads with their words.
    """
    text, out = _arguments(arguments)
    from attnviz.render.heatmap import PICTURE_CELLS

    least = parse_weight("--threshold", threshold) or 0.0
    request = read_request(maps, size=PICTURE_CELLS, evidence=False, threshold=least)
    from attnviz import record as records
    from attnviz.render.labels import clean

    path = output_path(out, PICTURES + PAGES + records.FORMATS, force=force)
    if text is None and reading.file is None and not start:
        raise _no_text()
    if request.threshold and path.suffix not in PICTURES:
        raise UsageError("--threshold is for pictures: a page has one of its own, and a record all weights")
    if path.suffix in PAGES:
        page.require_page_options(maps, picture.given())
        sources = page.read_sources(text, start, reading, model, request, neurons=neurons)
        written = page.page_of(sources, page.command_of(text, start, reading, model, maps), neurons=neurons)
        with replace_output(path, force=force) as partial:
            partial.write_text(written, encoding="utf-8")
    elif path.suffix in records.FORMATS:
        if request.heads.chosen or maps.which or maps.rows or maps.cols or picture.chooses:
            raise UsageError(
                f"a {path.suffix} record holds all heads and maps: "
                "--map, --layer, --head, --rows, --cols, --view and --token are for pictures"
            )
        record, _ = source.attend_source(
            text, reading, start, model, max_memory=max_memory, neurons=neurons, weights=maps.weights, **maps.answer()
        )
        with replace_output(path, force=force) as partial:
            records.write(record, partial, path.suffix)
    elif neurons:
        raise UsageError("--neurons are for pages and records: a picture shows weights")
    else:
        isolate_matplotlib()
        save_picture(_drawing(text, reading, start, model, request, picture), picture.style(), path, force=force)
    console.output().print(f"wrote {clean(str(path))}", soft_wrap=True)


def _no_text() -> UsageError:
    return UsageError(
        "no text is given",
        hint='Give a sentence before the file: attnviz export "The bank approved the loan." heads.png (or --file)',
    )


def _drawing(
    text: str | None, reading: TextOptions, start: list[str] | None, model: ModelOptions, request: Request,
    picture: PictureOptions,
) -> Callable[[Style], Figure]:  # fmt: skip
    """Return what draws a text, two texts, or one text in two models."""
    from attnviz.render import figure

    request = replace(request, words=picture.words())
    versus = any(each is not None for each in (picture.versus, picture.versus_model, picture.versus_head))
    view = figure.choose_view(picture.view, request, versus=versus, horizontal=picture.horizontal)
    second = _other_head(picture)
    found, _ = source.observe_source(text, reading, start, model, figure.request_for(view, request))
    if view != "difference":
        return lambda style: figure.draw_view(found, view, style, horizontal=picture.horizontal)
    if start and picture.versus is None and second is None:
        raise UsageError("a record holds one model: --versus-model needs a text", hint="Give --versus TEXT as well.")
    if picture.versus_model is not None:
        model = replace(model, model=picture.versus_model)
    if picture.versus is not None:
        text, reading, start = decode_argument(picture.versus), replace(reading, file=None), None

    @cache
    def other(heads: Heads) -> Observation:
        return source.observe_source(text, reading, start, model, replace(request, heads=second or heads))[0]

    return lambda style: figure.draw_two(found, other, style)


def _other_head(picture: PictureOptions) -> Heads | None:
    """The other head of a difference, if it is one of the same text.

    Raises:
        UsageError: it can't be read; another text or model is given as well.
    """
    from attnviz.analysis.effects.places import read_heads
    from attnviz.record import Heads

    if picture.versus_head is None:
        return None
    if picture.versus is not None or picture.versus_model is not None:
        raise UsageError(
            "--versus-head is given, and another text or model", hint="Give one of them: a difference is of two maps."
        )
    ((layer, head),) = read_heads([picture.versus_head])
    if head is None:
        raise UsageError(f"--versus-head is {picture.versus_head!r}, all heads of a layer", hint="Name one: 5.7")
    return Heads((layer,), (head,))


def save_picture(draw: Callable[[Style], Figure], style: Style, path: Path, *, force: bool) -> None:
    """Write what ``draw`` draws in this ``style``, and say what a reader should know of it."""
    from attnviz.render import figure

    drawn = draw(style)
    with replace_output(path, force=force) as partial, partial.open("wb") as stream:
        saved = figure.save_figure(drawn, stream, path.suffix)
    if saved.missing:
        boxes = f"no installed font has {few(saved.missing)}: drawn as boxes"
        packages = " or ".join(figure.packages_for("".join(saved.missing)))
        console.warn(boxes, f"Install a font that has them; on Debian: {packages}.")
    if saved.unreadable:
        fits = figure.smallest_fit(draw, style)
        said = few([short(text, 30) for text in saved.unreadable])
        console.warn(
            f"the picture is too small for its text: {said} can’t be read",
            f"All of it fits from {_length(fits)} on." if fits else "",
        )
    if saved.raster:
        most = f"of more than {figure.VECTOR_CELLS:,} cells"
        console.note(
            f"the map is an image inside the {path.suffix[1:].upper()}: one {most} ({saved.raster:,}) is no path each"
        )


def _length(style: Style) -> str:
    """Return the option that asks for the size or the width of a ``style``."""
    return f"--size {style.size[0]:g}x{style.size[1]:g}" if style.size else f"--width {style.width or 0:g}in"


def _arguments(arguments: list[str]) -> tuple[str | None, str]:
    """The text, where there is one, and the output."""
    if len(arguments) > 2:
        raise UsageError(
            f"{len(arguments)} arguments are given, expected a text and a file", hint="Put the text in quotation marks."
        )
    return (arguments[0] if len(arguments) == 2 else None), arguments[-1]
