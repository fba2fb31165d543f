"""Where the explorer's attention comes from: a saved record, or a model that runs."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from attnviz.analysis.text.replaying import part_of, pick_map, replay
from attnviz.errors import UsageError
from attnviz.record import AttentionRecord, Kind, Observation, Record, Request

if TYPE_CHECKING:
    from attnviz.analysis.table import Table
    from attnviz.attention.tile import Observer, Tile
    from attnviz.encoding import Encoding
    from attnviz.interface import Model

OnLayers = Callable[[Observation | None, int, int], None]
"""Takes what there is of the layers so far, if they are shown; how many there are; and how many there will be."""


class Source(Protocol):
    """What observes a text for the explorer."""

    text: str | None
    """The text, where it can be replaced by another."""

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:
        """What is asked of the text."""

    def of_text(self, text: str) -> Source:
        """Another text in the same model."""

    def ablate(self, layer: int, head: int, kind: Kind) -> Table:
        """What changes in what the model says without a head."""


@dataclass
class Saved:
    """A record that was saved: all weights of one text, and no model."""

    record: Record
    text: str | None = None

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:
        """What is asked of the record; of a large one the first layers come first.

        Raises:
            UsageError: as ``replay``.
        """
        record = pick_map(self.record, request.map)
        first = first_layers(record, _AT_FIRST)
        if first is not None and request.weights in (None, record.measure):
            on_layers(replay(first, replace(request, map=None)), first.layers, record.layers)
        return replay(self.record, request)

    def of_text(self, text: str) -> Source:  # noqa: ARG002
        """Raise a ``UsageError``: there is no model."""
        raise _no_model("another text needs one")

    def ablate(self, layer: int, head: int, kind: Kind) -> Table:  # noqa: ARG002
        """Raise a ``UsageError``: there is no model."""
        raise _no_model("without a head it can't run")


def _no_model(why: str) -> UsageError:
    return UsageError(f"a record holds no model: {why}", hint="Start with a text: attnviz explore TEXT --model MODEL")


@dataclass
class Running:
    """A text that a model reads; the model is loaded when it is first needed.

    Attributes:
        load: loads the model.
        text: the text.
        options: the options of ``Model.inspect``.
    """

    load: Callable[[], Model]
    text: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    _kept: Observation | None = None
    _asked: Request | None = None
    _lock: Any = field(default_factory=threading.Lock)

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:
        """What is asked of the text; all weights are kept where they fit, and the model runs only once then.

        Raises:
            UsageError, InputError, ModelError: as ``Model.inspect``.
        """
        with self._lock:
            if self._kept is not None and request == self._asked:
                return self._kept
            if self._kept is not None and self._kept.whole is not None:
                return replay(self._kept.whole, request)
            model = self.load()
            observer = arriving(model, request, on_layers)
            self._kept = model.inspect(self.text or "", request=request, observers=[observer], **self.options)
            self._asked = request
            return self._kept

    def of_text(self, text: str) -> Source:
        """The same model reads another text; what was only of the first one is left out."""
        options = {name: value for name, value in self.options.items() if name not in ("pair", "target")}
        return Running(self.load, text, options)

    def ablate(self, layer: int, head: int, kind: Kind) -> Table:
        """What changes in what the model says without a head, as ``attnviz ablate`` says it.

        Raises:
            UsageError, ModelError: as ``Model.ablate``.
        """
        known = {name: value for name, value in self.options.items() if name in ("truncate", "chat") and value}
        target = self.options.get("target")
        with self._lock:
            return self.load().ablate(
                self.text or "", self.options.get("pair"), decoder_text=target, heads=[(layer, head)],
                attention=None if kind == "self" else kind, **known,
            )  # fmt: skip


_PATIENCE = 0.25
"""The seconds from which on layers are shown while others are still computed."""
_SHARE = 4
"""Showing them may take a part of the time that has passed: 1 in so many."""
_BYTES = 1 << 28
"""The most bytes of weights of the first layers, which are shown before the others are there."""
_AT_FIRST = 1 << 24
"""The bytes of weights of a saved record that are shown before the others."""


def first_layers(record: AttentionRecord, most: int) -> AttentionRecord | None:
    """As many layers of a ``record`` as have so many bytes, one at least; None if it has no more than twice as many."""
    count = max(1, most * record.layers // max(record.weights.nbytes, 1))
    if record.weights.nbytes <= 2 * most or count >= record.layers:
        return None
    return part_of(record, slice(count))


def arriving(model: Model, request: Request, on_layers: OnLayers) -> Observer:
    """An observer that tells of the layers that are done; it keeps those of the first layers of the map in question."""
    from attnviz.attention.observers import Weights, as_array

    class Arriving(Weights):
        """Keeps the weights so far."""

        def __init__(self) -> None:
            super().__init__({}, _BYTES)
            self._start = self._shown = time.monotonic()
            self._spent, self._total = 0.0, sum(model.backend.layers.values())
            self._done: list[tuple[str, int]] = []
            self._kind: Kind = "self"
            self._texts: tuple[Encoding, Encoding | None] | None = None
            self._held = 0

        def see_texts(self, read: Encoding, written: Encoding | None) -> None:
            """Keep what looks, and what is looked at."""
            self._kind = "self" if written is None else request.map or "cross"
            queries = read if written is None or self._kind == "encoder" else written
            self._texts = queries, read if self._kind == "cross" else None

        def tile(self, tile: Tile) -> None:
            """Keep a tile; the first of a layer says that those before are done."""
            place = (tile.kind, tile.layer)
            if not self._done or self._done[-1] != place:
                self._tell()
                self._done.append(place)
                if tile.kind == self._kind:
                    self._held += tile.weights.element_size() * math.prod(tile.shape)
            if tile.kind == self._kind and self._keeps:
                super().tile(tile)

        @property
        def _keeps(self) -> bool:
            return self._texts is not None and self._held <= _BYTES

        def _tell(self) -> None:
            now = time.monotonic()
            if not self._done or now - self._start < _PATIENCE or (now - self._shown) < _SHARE * self._spent:
                return
            found = self._found() if self._keeps and self.layers(self._kind) else None
            on_layers(found, len(self._done), self._total)
            self._shown = time.monotonic()
            self._spent = self._shown - now

        def _found(self) -> Observation | None:
            numbers, weights = self.layers(self._kind), as_array(self.stacked(self._kind))
            queries, keys = self._texts or (None, None)
            if queries is None or weights.shape[2:] != (len(queries), len(keys or queries)):
                return None
            causal = all(self.window(number, self._kind).right == 0 for number in numbers)
            record = AttentionRecord(
                model.name, model.backend.name, causal, queries, weights, self._kind, keys, numbers=numbers
            )
            return replay(record, replace(request, map=None, evidence=False))

    return Arriving()
