"""Where the explorer's attention comes from: a saved record, or a model that runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from attnviz.analysis.text.replaying import replay
from attnviz.errors import UsageError
from attnviz.record import Kind, Observation, Record, Request

if TYPE_CHECKING:
    from attnviz.analysis.table import Table
    from attnviz.attention.tile import Observer
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

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:  # noqa: ARG002  (they are all there)
        """What is asked of the record.

        Raises:
            UsageError: as ``replay``.
        """
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
    _lock: Any = field(default_factory=threading.Lock)

    def observe(self, request: Request, on_layers: OnLayers) -> Observation:
        """What is asked of the text; all weights are kept where they fit, and the model runs only once then.

        Raises:
            UsageError, InputError, ModelError: as ``Model.inspect``.
        """
        with self._lock:
            if self._kept is not None and self._kept.whole is not None:
                return replay(self._kept.whole, request)
            model = self.load()
            observer = arriving(model, self._encoding(model), request, on_layers)
            found = model.inspect(self.text or "", request=request, observers=[observer], **self.options)
            self._kept = found
            return found

    def _encoding(self, model: Model) -> Encoding | None:
        """What the model reads, where that is known before it runs."""
        known = {name: value for name, value in self.options.items() if name in ("truncate", "chat", "words")}
        if self.options.get("windows") or model.backend.name != "native":
            return None
        return model.encode(self.text or "", self.options.get("pair"), **known)

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


def arriving(model: Model, encoding: Encoding | None, request: Request, on_layers: OnLayers) -> Observer:
    """An observer that tells of the layers that are done; it keeps those of the first layers of a single map."""
    from attnviz.attention.observers import Weights, as_array
    from attnviz.record import AttentionRecord

    class Arriving(Weights):
        """Keeps the weights so far."""

        def __init__(self) -> None:
            super().__init__({}, _BYTES)
            self._start = self._shown = time.monotonic()
            self._spent, self._total = 0.0, sum(model.backend.layers.values())
            self._done: list[tuple[str, int]] = []
            self._keeps, self._held = True, 0

        def tile(self, tile: Any) -> None:
            """Keep a tile; the first of a layer says that those before are done."""
            place = (tile.kind, tile.layer)
            if not self._done or self._done[-1] != place:
                self._tell()
                self._done.append(place)
                size = tile.weights.element_size() * tile.shape[0] * tile.shape[1] * tile.shape[2]
                self._held += size
                self._keeps = self._keeps and tile.kind == "self" and self._held <= _BYTES
            if self._keeps:
                super().tile(tile)

        def _tell(self) -> None:
            now = time.monotonic()
            if not self._done or now - self._start < _PATIENCE or (now - self._shown) < _SHARE * self._spent:
                return
            found = self._found() if self._keeps else None
            on_layers(found, len(self._done), self._total)
            self._shown = time.monotonic()
            self._spent = self._shown - now

        def _found(self) -> Observation | None:
            weights = as_array(self.stacked())
            if encoding is None or weights.shape[-1] != len(encoding):  # what is generated is read as well
                return None
            numbers, causal = self.layers(), model.backend.causal("self")
            record = AttentionRecord(model.name, model.backend.name, causal, encoding, weights, numbers=numbers)
            return replay(record, replace(request, evidence=False))

    return Arriving()
