"""What shows itself in a notebook, as the page: records, and what was observed of a text."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz import record
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from attnviz.interface.widget import AttentionWidget

_FRAMED = 5_000_000
"""A larger page is not put into a notebook, which would carry it along."""
_SHOWN = record.Request(rank="lift")
"""What is asked of a record that shows itself."""


class Shown:
    """What shows itself in a notebook, as a page."""

    def _observations(self: Any) -> list[record.Observation]:
        """The maps of the page, of which the last is opened."""
        from attnviz.analysis.text.replaying import replay, with_other_maps

        return with_other_maps(replay(self, _SHOWN))

    def widget(self: Any, state: str = "") -> AttentionWidget:
        """The page as a widget of a notebook, whose ``state`` can be read and set: ``head=5.7&word=bank``.

        Args:
            state: what it opens with, as in the address of a page; empty is the strongest link.

        Raises:
            UsageError: anywidget is not installed.
        """
        try:
            from attnviz.interface.widget import widget_of
        except ImportError as error:
            if error.name not in ("anywidget", "traitlets"):
                raise
            raise UsageError("anywidget is not installed", hint="Install it: pip install 'attnviz[widget]'") from None
        return widget_of(self._observations(), state)

    def _repr_mimebundle_(self: Any, **_: Any) -> dict[str, str]:
        """The page in a frame; a picture and a line of text for readers that show no frames, or do not trust it."""
        from attnviz.render.page.text import page_frame, text_page

        found = {"text/plain": repr(self), "image/png": base64.b64encode(self._repr_png_()).decode()}
        page = text_page(self._observations())
        return found | {"text/html": page_frame(page)} if len(page) <= _FRAMED else found

    def _repr_png_(self: Any) -> bytes:
        from attnviz.render.figure import Style, draw_view, to_png

        return to_png(draw_view(self._observations()[-1], "grid", Style(dpi=100)))


class Saveable(Shown):
    """A record that can be saved."""

    def save(self: Any, path: str | os.PathLike[str]) -> None:
        """Save as ``.json`` or ``.safetensors``, in one file; ``attnviz show --from`` and ``open`` read it.

        Raises:
            UsageError: the name ends otherwise, or the file can't be written; one that was there stays as it was.
        """
        record.save(self, Path(path))


class Survey(record.Observation, Shown):
    """What was observed of a text of any length, as a notebook wants it: it draws itself."""

    @classmethod
    def of(cls, found: record.Observation) -> Survey:
        """The observation as one that draws itself."""
        return cls(**vars(found))

    def _observations(self) -> list[record.Observation]:
        from attnviz.analysis.text.replaying import with_other_maps

        return with_other_maps(self)
