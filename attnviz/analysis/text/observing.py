"""Run a model with the observers of a request; nothing N × N is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from attnviz.analysis.plan import require_streamed
from attnviz.analysis.text.measures import require_values
from attnviz.analysis.text.observers import TextObservers
from attnviz.analysis.text.recording import record_of
from attnviz.analysis.text.shown_maps import require_layers
from attnviz.analysis.text.source import Source
from attnviz.attention.observers import Only, ValueNorms
from attnviz.attention.tile import Observer, Tile
from attnviz.encoding import Encoding, Windows
from attnviz.model.windows import run_windows
from attnviz.record import Kind, Observation, Request

if TYPE_CHECKING:
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

_LAYERS = 48
"""The number of layers to assume for models that show theirs only in a run."""


def observe(
    name: str,
    backend: Native | Hosted,
    read: Encoding,
    written: Encoding | None,
    request: Request,
    others: Sequence[Observer] = (),
    windows: Windows | None = None,
) -> Observation:
    """Run ``backend`` on the text ``read`` (and what its decoder has ``written``) and keep what is asked for.

    A text that is longer than the model has positions is run in ``windows``.

    Raises:
        UsageError: a word, a passage or a row that the text does not have.
        InputError, ModelError: as the run; weights that are made of those of all heads at once.
    """
    require_streamed(request.weights)
    require_values(backend.name, request.weights)
    kind: Kind = "self" if written is None else request.map or "cross"
    causal = is_causal(backend, kind)
    encoding = read if written is None or kind == "encoder" else written
    source = Source(kind, causal, encoding, read if kind == "cross" else None, windows)
    layers = _layers(backend, kind, request) if windows is None else None
    kept = TextObservers(source, request, backend.layers.get(kind, _LAYERS))
    gathered = kept.gathering(backend.heads[kind]) if request.evidence else None
    seeing = [gathered] if gathered else []
    norms = request.weights == "norm"
    if windows:
        inside = kept.in_windows()
        run_windows(backend, windows, [*([ValueNorms(inside)] if norms else inside), *seeing], others)
    else:
        only = partial(Only, kind) if layers is None else partial(OfLayers, kind, layers=layers)
        for each in others:
            each.see_texts(read, written)
        seen = [ValueNorms([only(kept.at_once())]), only(seeing)] if norms else [only([*kept.at_once(), *seeing])]
        backend.run(read, [*seen, *others], written)
    found = record_of(kept, name, backend.name)
    if layers is not None and backend.name == "native":
        rest = (number for number in backend.layer_heads[kind] if number not in layers)
        found = replace(found, unobserved=tuple(rest))
    return replace(found, evidence=gathered.evidence(kind, read, written)) if gathered else found


class OfLayers(Only):
    """Hands on the tiles of some ``layers`` of one ``kind``; the model can stop after the last of them."""

    def __init__(self, kind: Kind, observers: Sequence[Observer], layers: Collection[int]) -> None:
        super().__init__(kind, observers)
        self.layers = layers

    def wants(self, layer: int, kind: Kind) -> bool:
        """Whether it is one of the layers."""
        return kind == self.kind and layer in self.layers

    def tile(self, tile: Tile) -> None:
        """Hand on a tile of the layers."""
        if tile.layer in self.layers:
            super().tile(tile)


def _layers(backend: Native | Hosted, kind: Kind, request: Request) -> tuple[int, ...] | None:
    """The layers that are observed if the request names some and the model can stop after them; None for all.

    Raises:
        UsageError: a layer that the model does not have.
    """
    wanted = request.heads.layers
    if wanted is None or backend.name != "native":
        return None
    require_layers(wanted, tuple(backend.layer_heads[kind]))
    return tuple(sorted(wanted))


def is_causal(backend: Native | Hosted, kind: Kind) -> bool:
    """Whether no query sees a later key; a hosted model shows it in a run of a few tokens, which one would not."""
    if backend.name != "native":
        read, written = backend.few_tokens()
        backend.run(read, (), written)
    return backend.causal(kind)
