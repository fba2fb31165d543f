"""Answers as a notebook wants them: they draw themselves."""

from __future__ import annotations

from typing import Any

from attnviz.analysis import table


class Table(table.Table):
    """The answer to a question; ``.to_pandas()`` and ``.to_polars()`` are frames of it, and it can be read as Arrow."""

    @classmethod
    def of(cls, found: table.Table) -> Table:
        """The table as one that draws itself."""
        return cls(**vars(found))

    def plot(self, **style: Any) -> Any:
        """A matplotlib figure of the ranked column.

        Args:
            style: the fields of ``attnviz.render.figure.Style``: ``theme``, ``width``, ``dpi``, ….

        Raises:
            UsageError: there is nothing to draw, or no such style.
        """
        from attnviz.render import figure

        return figure.draw_answer(self, figure.style_of(**style))

    def __repr__(self) -> str:
        from rich.console import Console

        from attnviz.render.terminal.answer import answer_parts

        console = Console(width=120, markup=False, highlight=False, emoji=False, color_system=None, force_jupyter=False)
        with console.capture() as shown:
            for part in answer_parts(self, 12):
                console.print(part)
        return shown.get().rstrip()

    def _repr_html_(self) -> str:
        from attnviz.render.page.answer import table_html

        return table_html(self)
