"""Tiles of weights, and observers, to which the kernel shows them."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.arrays import AnyArray
from attnviz.attention.compiled import ON_COMPILE
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.errors import UnsupportedModel
from attnviz.record import Kind as Kind

if TYPE_CHECKING:
    from torch import Tensor

    from attnviz.attention.values import Values
    from attnviz.encoding import Encoding

PASSES = "attnviz.attention.compiled.passes"
"""The module of the compiled pass over one text."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Weights (h, n, m) of some heads, queries and keys, from ``head``, ``query`` and ``key`` on.

    They are a tensor or, of a record, an array. Keys outside the tile have weight zero. ``shape`` is (H, N, M),
    that of the layer's whole map of this ``kind``. The kernel overwrites the weights when all observers have seen them.
    ``first`` is the position of query 0.
    """

    layer: int
    query: int
    key: int
    weights: AnyArray
    shape: tuple[int, int, int]
    kind: Kind = "self"
    head: int = 0
    window: KeyWindow = EVERYTHING
    first: int = 0

    @property
    def own(self) -> int:
        """The column of the key at the position of the tile's first query."""
        return self.first + self.query - self.key


@dataclass(frozen=True, eq=False)
class Terms:
    """What makes logits of the products q·k: ``scale``, then ``softcap`` · tanh(logit / softcap), then plus ``bias``.

    ``bias`` (h or 1, n, m) is that of positions; None where there is none, like ``softcap``.
    """

    scale: float
    softcap: float | None
    bias: Tensor | None


@dataclass(frozen=True)
class Task:
    """The part of a layer that one thread computes, tile by tile.

    It has the queries from ``start`` to ``stop`` of the ``heads`` heads from ``head`` on; the other fields are those
    of a ``Tile``. ``compiled`` says whether its observers may use the compiled passes, and ``compiling`` whether these
    may be compiled for it, which takes seconds once on a machine.
    ``double`` says whether the weights are float64.
    """

    layer: int
    kind: Kind
    shape: tuple[int, int, int]
    window: KeyWindow
    first: int
    head: int
    heads: int
    start: int
    stop: int
    compiled: bool = False
    double: bool = False
    compiling: bool = False


class Observer:
    """Sees the weights and hidden states of a run; a subclass keeps what it needs of them.

    Several threads compute the tiles of a layer, but an observer sees one tile at a time. It sees the tiles of a task
    in the order of their queries, and the tasks in any order. To see tiles in several threads at once, an observer
    returns ``parts``.

    Attributes:
        starts: the queries at which a task may begin, beside the first; None for any.
        many: whether it will see so many runs that even short ones should use the compiled passes.
        own: whether it is the part of a single task.
        whole: whether it needs the hidden states that leave the last layer, if it sees hidden states.
        most_scores: it sees the vectors and scores of layers that have no more queries times keys than this.
        valued: whether it sees the values of the layers that it wants, too.
        contexts: whether it sees the outputs of the heads of these layers; it must be ``valued`` then, since a run may
            leave out the values of its last layer.
    """

    own = False
    starts: Sequence[int] | NDArray[np.int64] | None = None
    many = False
    whole = True
    most_scores: float = 0
    valued = False
    contexts = False

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        """Whether it needs the weights of a layer."""
        return True

    def see_texts(self, read: Encoding, written: Encoding | None) -> None:
        """See what the model reads, and what its decoder does where it has an encoder too, before one text is run."""

    def tile(self, tile: Tile) -> None:
        """See one tile of weights."""

    def see_values(self, layer: int, kind: Kind, values: Values) -> None:
        """See the values of a layer, before its tiles."""

    def see_context(self, layer: int, kind: Kind, context: Tensor) -> None:
        """See the outputs (H, N, D) of the heads of a layer, after its tiles and what interventions changed."""

    def see_vectors(self, layer: int, kind: Kind, q: Tensor, k: Tensor) -> None:
        """See the queries (H, N, D) and keys (G, M, D) of a layer as they are multiplied: all rotations are done."""

    def see_scores(self, tile: Tile, terms: Terms) -> None:
        """See the products q·k of a tile in place of weights, for all keys, and the ``terms`` that come after them."""

    def parts(self, task: Task) -> Iterable[Observer]:  # noqa: ARG002
        """The observers that see the tiles of a task: this one, or parts that see them in the task's thread."""
        return (self,)

    def weigh(self, tile: Tile, scores: Tensor, sinks: Tensor | None) -> bool:  # noqa: ARG002
        """Turn the scores of a tile into weights and see them in one pass; return False if it can't.

        ``scores`` is the memory of ``tile.weights``, whose rows have room for whole vectors.
        """
        return False

    def end(self) -> None:
        """Hand on what was seen of a task. Parts are called one at a time, in the order of their tasks."""

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        """See the hidden states (T, C) that enter ``layer``, or leave the last one (``layer`` = L)."""


@cache
def find_loops(module: str) -> ModuleType | None:
    """Import a ``module`` of compiled loops; return None if it can't be compiled here."""
    try:
        found = importlib.import_module(module)
        _announce_compilation()
        return found
    except (ImportError, RuntimeError):  # numba lacks this version of Python, or has no folder for its cache
        return None


@cache
def _announce_compilation() -> None:
    """Call the functions of ``ON_COMPILE`` whenever numba compiles, but not when it loads from its cache."""
    from numba.core import event

    class Compilation(event.Listener):  # type: ignore[misc]
        def on_start(self, _event: object) -> None:
            if getattr(_HERE, "cached_only", False):
                raise _NotCompiledError
            for function in tuple(ON_COMPILE):
                function()

        def on_end(self, _event: object) -> None:
            if not getattr(_HERE, "cached_only", False):
                _NOT_COMPILED.clear()

    event.register("numba:compile", Compilation())


_HERE = threading.local()
_NOT_COMPILED: set[Callable[..., object]] = set()
"""The loops of which numba's cache has nothing for some arguments, until something is compiled."""


class _NotCompiledError(Exception):
    """Raised within numba, to keep it from compiling."""


def run_loop(loop: Callable[..., object], *arguments: object, compiling: bool) -> bool:
    """Call a compiled ``loop``; return False, without a call, if it is not compiled yet and ``compiling`` is False."""
    if compiling:
        loop(*arguments)
        return True
    if loop in _NOT_COMPILED:
        return False
    _HERE.cached_only = True
    try:
        loop(*arguments)
    except _NotCompiledError:
        _NOT_COMPILED.add(loop)
        return False
    finally:
        _HERE.cached_only = False
    return True


def require_equal_heads(layers: Iterable[int], what: str = "heads") -> None:
    """Raise if the ``layers``, given by their numbers of heads (or of ``what``), differ in these.

    Raises:
        UnsupportedModel: with the numbers.
    """
    heads = sorted({*layers})
    if len(heads) > 1:
        raise UnsupportedModel(f"its layers have {', '.join(map(str, heads))} {what}, attnviz shows equal numbers only")
