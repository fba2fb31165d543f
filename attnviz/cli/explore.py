"""``attnviz explore``: a text's attention in the whole terminal, moved through with keys."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnviz.cli import console, page, signals, source
from attnviz.cli.background import Background
from attnviz.cli.flags import flags_of, with_flags
from attnviz.cli.map_options import MapOptions, ThresholdOption
from attnviz.cli.options import VIEW, FromOption, ModelOptions, TextOptions, spread
from attnviz.cli.parsing import parse_weight
from attnviz.cli.reading import decode_argument, read_words
from attnviz.cli.request import read_request
from attnviz.errors import AttnvizError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.explore.app import Explorer
    from attnviz.explore.session import Save, Session
    from attnviz.explore.source import Source
    from attnviz.interface import Model
    from attnviz.record import Observation, Request

_RESTORED = "\x1b[<u\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?1004l\x1b[?7h"
"""What takes back what a full-screen program asked of a terminal: keys, the mouse, pasting, focus, wrapping."""


@spread
def explore(
    text: Annotated[str | None, typer.Argument(help="The text; - reads standard input.")] = None,
    *,
    reading: TextOptions,
    start: FromOption = None,
    model: ModelOptions,
    maps: MapOptions,
    token: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Rank the heads by the links of this word.", rich_help_panel=VIEW),
    ] = None,
    threshold: ThresholdOption = None,
) -> None:
    """Explore a text's attention in the terminal: heads, maps and words, with keys or the mouse."""
    if maps.rows or maps.cols:
        raise UsageError("--rows and --cols are for what is printed or drawn: in the explorer, Enter zooms into a map")
    background = Background() if _has_terminal() else None
    Explorer = _program()  # noqa: N806  (a class)
    _require_terminal()
    request = read_request(maps, evidence=False, threshold=parse_weight("--threshold", threshold) or 0.0)
    session = _session(text, reading, start, model, maps, request, token)
    if background is not None:
        session = replace(session, **_look(dark=background.dark()), worded=_worded)
    if text == "-":
        _take_keys_from_terminal()
    _run(Explorer(session))


def _worded(error: AttnvizError) -> str:
    """The words of an error, with flags in the place of the parameters that it names."""
    from attnviz.cli.app import command_group

    return with_flags(str(error), flags_of(command_group()))


def _program() -> type[Explorer]:
    """The program.

    Raises:
        UsageError: textual is not installed.
    """
    try:
        from attnviz.explore.app import Explorer
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise UsageError(
            "the explorer needs textual, which is not installed", hint="Install it: pip install 'attnviz[explore]'"
        ) from None
    return Explorer


def _has_terminal() -> bool:
    out = sys.__stderr__
    return out is not None and out.isatty() and os.environ.get("TERM") != "dumb"


def _require_terminal() -> None:
    """Raise a ``UsageError`` where there is no terminal to fill."""
    if not _has_terminal():
        raise UsageError(
            "the explorer fills a terminal, and there is none here",
            hint="Print what it shows: attnviz show TEXT; or write a page: attnviz export TEXT page.html",
        )


def _session(
    text: str | None, reading: TextOptions, start: list[str] | None, model: ModelOptions, maps: MapOptions,
    request: Request, token: str | None,
) -> Session:  # fmt: skip
    """What the program is started with.

    Raises:
        UsageError, InputError: as ``source.observe_source``.
    """
    from attnviz.explore.session import Session

    where, request = _source(text, reading, start, model, request)
    layers, heads = request.heads.layers, request.heads.heads
    first = (layers[0] if layers else None, heads[0] if heads else None, token and decode_argument(token))
    base = replace(maps, which=None, unit=None)

    def words(name: str, other: str | None, more: Sequence[str]) -> str:
        given = (
            (text, start, reading)
            if other is None
            else (other, None, replace(reading, file=None, pair=None, target=None))
        )
        return page.command_of(*given, ModelOptions() if given[1] else model, base, name=name, more=more)

    return Session(where, request, words, _saver(), first)


def _source(
    text: str | None, reading: TextOptions, start: list[str] | None, model: ModelOptions, request: Request
) -> tuple[Source, Request]:
    from attnviz.explore.source import Running, Saved

    if start and (text is not None or reading.file is not None or len(start) > 1):
        raise UsageError("the explorer takes a text, or a record with --from", hint="Give one of them.")
    if start:
        return Saved(source.read_saved(start[0], reading)), request
    given = source.read_text(text, reading.file, "explore")
    options = reading.given() | {"words": read_words(reading.words)}
    if reading.windows or reading.stride is not None:
        options |= {"windows": reading.windows, "stride": reading.stride}
    model.warn()
    loaded: list[Model] = []

    def load() -> Model:
        if not loaded:
            loaded.append(model.load())
        return loaded[0]

    return Running(load, given, {name: value for name, value in options.items() if value}), request


def _look(*, dark: bool) -> dict[str, Any]:
    """With what is drawn, as the terminal's colours and its background ask for."""
    from attnviz.explore.drawing import Look

    system = console.errors().color_system
    plain = "NO_COLOR" in os.environ or system in (None, "standard", "windows")
    return {"look": Look("ember" if dark else "ink", plain, "#3ee6d0" if dark else "#e4572e"), "dark": dark}


def _saver() -> Save:
    """Return what writes a file: a picture of the head that is asked for, or the record."""

    def save(found: Observation, request: Request, path: Path, other: Observation | None, *, arcs: bool) -> None:
        from attnviz import record
        from attnviz.cli.export import PICTURES, save_picture
        from attnviz.cli.files import output_path, replace_output
        from attnviz.cli.matplotlib_settings import isolate_matplotlib

        path = output_path(str(path), PICTURES + record.FORMATS, force=False)
        if path.suffix in PICTURES:
            isolate_matplotlib()
            from attnviz.render import figure

            view = figure.choose_view("arcs" if arcs else None, request)

            def draw(style: figure.Style) -> Figure:
                two = other and figure.draw_two(found, lambda _: other, style)
                return two or figure.draw_view(found, view, style)

            save_picture(draw, figure.Style(), path, force=False)
            return
        if found.whole is None:
            raise UsageError("the text is so long that not all of its weights are kept", hint="Save a picture.")
        with replace_output(path, force=False) as partial:
            record.write(found.whole, partial, path.suffix)

    return save


def _take_keys_from_terminal() -> None:
    """Read keys from the terminal: the text came from standard input, which is at its end."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise UsageError(
            "the text came from standard input, and there is no terminal to read keys from",
            hint="Give the text as an argument, or with --file.",
        ) from None
    os.dup2(terminal, 0)
    os.close(terminal)


def _run(program: Explorer) -> None:
    """Run the program, and say what was saved and how to make it again; a thread that is at work is not waited for."""
    restore = _restorer()
    signals.CLEANUPS.add(restore)
    try:
        code = program.run() or 0
    finally:
        signals.CLEANUPS.discard(restore)
    for command in program.said:
        console.output().print(command, soft_wrap=True)
    if program.failed is not None:
        raise program.failed
    if program.busy:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)


def _restorer() -> Callable[[], None]:
    """Return what gives the terminal back as it was, for a signal that ends the program."""
    try:
        import termios

        before = termios.tcgetattr(0)
    except Exception:
        return lambda: None

    def restore() -> None:
        os.write(2, f"{_RESTORED}\x1b[?1049l\x1b[?25h".encode())
        termios.tcsetattr(0, termios.TCSANOW, before)

    return restore
