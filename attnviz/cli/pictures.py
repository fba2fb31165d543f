"""The pictures of ``attnviz export``: what each shows, and which options it takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attnviz.cli import completion
from attnviz.cli.parsing import parse_inches, parse_weight, parse_width
from attnviz.cli.reading import decode_argument
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.render.figure import Style

View = Literal["grid", "head", "arcs", "token", "profile", "difference"]
_PANEL = "Picture"


@dataclass(frozen=True)
class ViewOptions:
    """What is drawn, and on which scale."""

    view: Annotated[
        View | None,
        typer.Option(
            metavar="VIEW",
            help="grid (all heads), head, arcs (lines between words), token (what one word looks at), profile (figures "
            "of heads) or difference (two texts, models or heads).",
            show_default="grid, or head with --layer or --head",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD",
            help="This word looks: it picks the head, and is pointed out. the:2 is the second 'the'.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    versus: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The other text of a difference.", rich_help_panel=_PANEL)
    ] = None
    versus_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The other model of a difference.", rich_help_panel=_PANEL)
    ] = None
    versus_head: Annotated[
        str | None,
        typer.Option(metavar="L.H", help="The other head of a difference: 5.7, or L5H7.", rich_help_panel=_PANEL),
    ] = None
    horizontal: Annotated[
        bool, typer.Option("--horizontal", help="Arcs between two lines of words.", rich_help_panel=_PANEL)
    ] = False
    scale: Annotated[
        Literal["linear", "log"], typer.Option(help="How weights become colours.", rich_help_panel=_PANEL)
    ] = "linear"
    vmax: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHT",
            help="Where the scale ends, such as 1 or 50%, so that pictures can be compared.",
            show_default="the largest shown",
            rich_help_panel=_PANEL,
        ),
    ] = None
    own_scale: Annotated[
        bool, typer.Option("--own-scale", help="A scale of its own for each head.", rich_help_panel=_PANEL)
    ] = False
    annotate: Annotated[
        bool | None,
        typer.Option(
            "--annotate/--no-annotate",
            help="Write weights into the cells.",
            show_default="where there is room",
            rich_help_panel=_PANEL,
        ),
    ] = None


@dataclass(frozen=True)
class LookOptions:
    """How a picture looks."""

    theme: Annotated[
        Literal["light", "dark"], typer.Option(help="A light or a dark background.", rich_help_panel=_PANEL)
    ] = "light"
    cmap: Annotated[
        str | None,
        typer.Option(
            help="ink, ember, or a colour map of matplotlib.",
            rich_help_panel=_PANEL,
            autocompletion=completion.complete_colour_map,
        ),
    ] = None
    width: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH", help="The width, such as 3.3in or 84mm; the height follows.", rich_help_panel=_PANEL
        ),
    ] = None
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Inches, such as 8x6.", rich_help_panel=_PANEL)] = None
    dpi: Annotated[int, typer.Option(min=20, max=1200, help="Pixels an inch.", rich_help_panel=_PANEL)] = 200
    title: Annotated[
        str | None, typer.Option(help='The title, by default model and head; "" for none.', rich_help_panel=_PANEL)
    ] = None

    def look(self) -> dict[str, Any]:
        """The fields of a style that are chosen.

        Raises:
            UsageError: a length that can't be read; both a width and a size.
        """
        if self.width and self.size:
            raise UsageError("both --width and --size are given", hint="--size has the width already.")
        return {
            "theme": self.theme,
            "cmap": self.cmap,
            "size": parse_inches(self.size),
            "dpi": self.dpi,
            "title": self.title and decode_argument(self.title),
            "width": parse_width(self.width),
        }


@dataclass(frozen=True)
class PictureOptions(LookOptions, ViewOptions):
    """What is drawn, and how it looks."""

    def given(self) -> dict[str, bool]:
        """Whether each option was given, by its flag."""
        usual = PictureOptions()
        return {
            f"--{field.name.replace('_', '-')}": getattr(self, field.name) != getattr(usual, field.name)
            for field in fields(self)
        }

    @property
    def chooses(self) -> bool:
        """Whether anything is asked of what is drawn, not of its looks."""
        return bool(self.view or self.token or self.versus or self.versus_model or self.versus_head)

    def style(self) -> Style:
        """The look of the picture.

        Raises:
            UsageError: a length or a weight that can't be read; both a width and a size.
        """
        from attnviz.render.figure import Style

        return Style(
            **self.look(),
            vmax=parse_weight("--vmax", self.vmax),
            log=self.scale == "log",
            own_scale=self.own_scale,
            annotate=self.annotate,
        )

    def words(self) -> tuple[str, ...]:
        """The words that look."""
        return tuple(map(decode_argument, self.token or ()))
