"""A tile of weights, as the kernel shows it to observers, and what an observer is."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnviz.attention.compiled import ON_COMPILE
from attnviz.attention.window import EVERYTHING, KeyWindow
from attnviz.errors import UnsupportedModel
from attnviz.record import Kind as Kind

PASSES = "attnviz.attention.compiled.passes"
"""The module of the compiled pass that turns scores into weights."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Weights as observers see them: of the heads, queries and keys from ``head``, ``query`` and ``key`` on.

    ``weights`` is (h, n, m); keys outside the tile have weight zero. ``shape`` is the (H, N, M) of the layer's map
    of that ``kind``. The weights belong to the kernel, which writes them over when all observers have seen them.
    ``first`` is the position of query 0.
    """

    layer: int
    query: int
    key: int
    weights: Tensor
    shape: tuple[int, int, int]
    kind: Kind = "self"
    head: int = 0
    window: KeyWindow = EVERYTHING
    first: int = 0

    @property
    def own(self) -> int:
        """The column of the key at the place of the tile's first query."""
        return self.first + self.query - self.key


@dataclass(frozen=True)
class Task:
    """Some heads of a layer, and some of their queries, whose tiles one thread makes one after another.

    They are ``heads`` from ``head`` on, and the queries from ``start`` to ``stop``; the rest is as a ``Tile`` says it.
    ``compiled`` says whether its observers may use the compiled passes.
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
    dtype: torch.dtype = torch.float32


class Observer:
    """Sees the weights and hidden states that pass by; a subclass keeps what it wants of them.

    The tiles of a layer come from several threads, but to one observer one at a time: those of a task in the order of
    their queries, and the tasks in any order. Who wants to see them in those threads gives ``parts``.

    Attributes:
        starts: the queries at which a task may begin, beside the first; None is any.
        many: it sees so many runs that the compiled passes are worth their loading for short ones too.
        own: it is the part of a task, and sees no other.
        whole: where it sees hidden states, it needs those that leave the last layer too.
    """

    own = False
    starts: Sequence[int] | NDArray[np.int64] | None = None
    many = False
    whole = True

    def wants(self, layer: int, kind: Kind) -> bool:  # noqa: ARG002
        """Whether it needs the weights of a layer."""
        return True

    def tile(self, tile: Tile) -> None:
        """See one tile of weights."""

    def parts(self, task: Task) -> Iterable[Observer]:  # noqa: ARG002
        """Who sees the tiles of a task, in the thread that makes them: others for each task, or itself."""
        return (self,)

    def weigh(self, tile: Tile, scores: Tensor, sinks: Tensor | None) -> bool:  # noqa: ARG002
        """Turn the scores of a tile into its weights and see them, of a part that does so in one pass; else False.

        ``scores`` is all the memory of ``tile.weights``, whose rows have room for whole vectors.
        """
        return False

    def end(self) -> None:
        """Hand on what was seen of a task: the parts of tasks do so in the order of these, after each other."""

    def hidden(self, layer: int, states: Tensor, kind: Kind = "self") -> None:
        """See the hidden states (T, C) that enter ``layer``, or leave the last one (``layer`` = L)."""


@cache
def find_loops(module: str) -> ModuleType | None:
    """A ``module`` of compiled loops; None where it can't be compiled here."""
    try:
        found = importlib.import_module(module)
        _announce_compilation()
        return found
    except (ImportError, RuntimeError):  # no numba for a new version of Python, or no folder for what it compiles
        return None


@cache
def _announce_compilation() -> None:
    """Call the functions of ``ON_COMPILE`` whenever numba compiles, and not when it loads from its cache."""
    from numba.core import event

    class Compilation(event.Listener):  # type: ignore[misc]
        def on_start(self, _event: object) -> None:
            for function in tuple(ON_COMPILE):
                function()

        def on_end(self, _event: object) -> None:
            pass

    event.register("numba:compile", Compilation())


def require_equal_heads(layers: Iterable[int]) -> None:
    """Raise where the ``layers``, each with so many heads, have not the same number of them.

    Raises:
        UnsupportedModel: with the numbers.
    """
    heads = sorted({*layers})
    if len(heads) > 1:
        raise UnsupportedModel(f"its layers have {', '.join(map(str, heads))} heads, attnviz shows equal numbers only")
