"""What the explorer is started with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from attnviz.errors import AttnvizError
from attnviz.explore.drawing import Look
from attnviz.explore.source import Source
from attnviz.record import Observation, Request


class Save(Protocol):
    """Writes a picture or a record of what is observed to a file, and replaces none."""

    def __call__(
        self, found: Observation, request: Request, path: Path, other: Observation | None, *, arcs: bool
    ) -> None:
        """Write it; of two that are compared a picture has the difference."""


Words = Callable[[str, str | None, Sequence[str]], str]


@dataclass(frozen=True)
class Session:
    """What the explorer is started with.

    Attributes:
        source: the text and what observes it.
        request: what is asked of it.
        words: the command of a name for a text with some more words; None is the text that it was started with.
        save: writes what is seen to a file.
        start: what is shown first: a layer's number and a head, and a word that is picked.
        look: with what is drawn.
        dark: whether the background is dark.
        worded: the words of an error, with the names that the options have where it was started.
    """

    source: Source
    request: Request
    words: Words
    save: Save
    start: tuple[int | None, int | None, str | None] = (None, None, None)
    look: Look = field(default_factory=Look)
    dark: bool = True
    worded: Callable[[AttnvizError], str] = str
