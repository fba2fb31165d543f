"""What is observed: one kind of a model's attention, and the texts that it is between."""

from __future__ import annotations

from dataclasses import dataclass

from attnviz.analysis.languages import ENGLISH
from attnviz.analysis.text.units import Reading, read_in
from attnviz.encoding import Encoding, Windows
from attnviz.record import Kind, Unit


@dataclass(frozen=True, eq=False)
class Source:
    """What is observed: a kind of a model's attention, the texts that it is between, and the windows of a long one."""

    kind: Kind
    causal: bool
    encoding: Encoding
    keys: Encoding | None
    windows: Windows | None = None

    @property
    def key_encoding(self) -> Encoding:
        """The text that is looked at."""
        return self.encoding if self.keys is None else self.keys

    def read(self, unit: Unit, language: str = ENGLISH) -> Reading:
        """Both texts in units."""
        return read_in(unit, self.encoding, self.keys, (), language, causal=self.causal)
