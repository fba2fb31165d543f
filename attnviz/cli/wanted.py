"""What is wanted of a text: asked for once, and found in all of its weights or in an observation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnviz.cli import source
from attnviz.cli.options import MapOptions, parse_heads, parse_window

if TYPE_CHECKING:
    from attnviz.analysis.text.summary import Cell, Grid, Heads, Summary
    from attnviz.analysis.text.window import Window
    from attnviz.record import Attention, Observation, Record


@dataclass(frozen=True)
class Wanted:
    """What ``show`` and pictures are asked for; ``size`` is the most cells of a long text's map across and down."""

    maps: MapOptions
    heads: Heads
    window: Window
    everything: bool = False
    words: tuple[str, ...] = ()
    cell: Cell = "link"
    top: int = 3
    links: int = 8
    size: int = 256
    language: str = "en"

    @classmethod
    def of(cls, maps: MapOptions, **more: Any) -> Wanted:
        """What the options ask for.

        Raises:
            UsageError: they can't be read.
        """
        from attnviz.analysis.languages import language_code

        code = language_code(maps.language)
        return cls(maps, parse_heads(maps.layer, maps.head), parse_window(maps.rows, maps.cols), language=code, **more)

    def kept(self, passage: str | None) -> dict[str, Any]:
        """What an observation must keep, as keyword arguments of ``Model.observe``."""
        return {"kind": self.maps.which, "layers": self.heads.layers, "size": self.size, **self._counted(passage)}

    def summary(self, found: Record | Observation, passage: str | None) -> Summary:
        """What is shown of ``found``.

        Raises:
            UsageError: a layer, head, row, word or passage that there is not.
        """
        from attnviz.record import Observation

        if isinstance(found, Observation):
            from attnviz.analysis.text.surveyed import summarise_observation

            return summarise_observation(found, heads=self.heads, cell=self.cell, top=self.top, links=self.links)
        from attnviz.analysis.text.summary import summarise

        record = source.pick_map(found, self.maps.which)
        return summarise(record, heads=self.heads, cell=self.cell, **self._counted(passage))

    def grid(self, found: Record | Observation, passage: str | None) -> tuple[Attention | Observation, Grid]:
        """The maps of all heads, and the record that they are of.

        Raises:
            UsageError: a row or passage that there is not.
        """
        from attnviz.record import Observation

        if isinstance(found, Observation):
            from attnviz.analysis.text.surveyed import observation_grid

            return found, observation_grid(found)
        from attnviz.analysis.text.summary import grid
        from attnviz.analysis.text.units import in_tokens, in_words, within

        record = source.pick_map(found, self.maps.which)
        units = in_tokens(record) if self.maps.tokens else in_words(record)
        inside = None if passage is None else within(units.kind, record.encoding, passage)
        return record, grid(units, self.window, inside, special=self.maps.special)

    def _counted(self, passage: str | None) -> dict[str, Any]:
        return {
            "tokens": self.maps.tokens,
            "special": self.maps.special,
            "everything": self.everything,
            "words": self.words,
            "passage": passage,
            "top": self.top,
            "links": self.links,
            "window": self.window,
            "language": self.language,
        }
