"""What the explorer is started with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attnviz.explore.drawing import Look
from attnviz.explore.source import Source
from attnviz.record import Observation, Request

Save = Callable[[Observation, Request, Path, Observation | None], None]
Words = Callable[[str, str | None, Sequence[str]], str]


@dataclass(frozen=True)
class Session:
    """What the explorer is started with.

    Attributes:
        source: the text and what observes it.
        request: what is asked of it.
        words: the command of a name for a text with some more words; None is the text that it was started with.
        save: writes a picture or a record of what is observed to a file, and replaces none; a picture of the difference
            where there is something else that it is compared with.
        start: what is shown first: a layer's number and a head, and a word that is picked.
        look: with what is drawn.
        dark: whether the background is dark.
    """

    source: Source
    request: Request
    words: Words
    save: Save
    start: tuple[int | None, int | None, str | None] = (None, None, None)
    look: Look = field(default_factory=Look)
    dark: bool = True
