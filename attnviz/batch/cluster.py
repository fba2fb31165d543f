"""A run on a Ray cluster: the same chunks, worked on by actors that each hold the model.

Ray Data reads ahead, gives each actor the next chunk, starts a lost actor anew and hands its chunk to another; nothing
of that is done here. An actor writes the rows of a chunk itself, whole or as good as not at all, so that only counts
come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from attnviz.batch.chunk import Chunk
from attnviz.batch.parts import PartFacts
from attnviz.batch.run import Bench
from attnviz.batch.work import Told

RETRIES = 3
"""How often a chunk is tried again whose actor was lost with it; one that kills each of them ends the run."""


@dataclass(frozen=True)
class Cluster:
    """Which cluster: the ``address`` of one that runs (``auto`` finds it), or None for one on this machine.

    ``cpus`` is how many an actor has; None gives each a GPU where the model runs on these, else two CPUs.
    """

    address: str | None = None
    cpus: int | None = None


def run(
    read: Callable[[], Iterable[Chunk]], make: Callable[[], Bench], cluster: Cluster, told: Told, *, device: str
) -> Iterator[PartFacts]:
    """Work on all chunks that ``read`` gives, and say of each what there is of it, in the order in which they are done.

    Both functions are called on the cluster: ``read`` once, on the machine where the run was started, ``make`` in each
    actor.

    Raises:
        UsageError: Ray is not installed, or no such cluster; a chunk can't be written.
        SomeFailed: as ``Bench.do``.
        ModelError: an actor was lost again and again with the same chunk.
    """
