"""A run on a Ray cluster: the same chunks, measured by actors that each hold the model.

Ray Data reads ahead, gives each actor the next chunk, starts a lost actor anew and hands its chunk to another; nothing
of that is done here. An actor writes the chunk's rows itself, whole or not at all, so only counts come back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.batch.chunk import Chunk
from attnviz.batch.run import Part, Steps, Writer
from attnviz.errors import AttnvizError, ModelError, UsageError

if TYPE_CHECKING:
    from ray.data import Dataset

RETRIES = 3
"""How often a chunk is tried again whose actor was lost with it; one that kills each of them ends the run."""
AHEAD = 2
"""So many chunks wait for each actor."""


@dataclass(frozen=True)
class Cluster:
    """Which cluster: the ``address`` of one that runs (``auto`` finds it), or None for one on this machine.

    ``cpus`` is how many an actor has; None gives each a GPU where the model runs on these, else two CPUs.
    """

    address: str | None = None
    cpus: int | None = None


def run(
    read: Callable[[], Iterable[Chunk]],
    make: Callable[[], Steps],
    writer: Writer,
    cluster: Cluster,
    *,
    gpus: bool,
    strict: bool,
) -> Iterator[Part]:
    """Measure all chunks that ``read`` gives and say of each what became of it, in the order in which they are done.

    ``read`` and ``make`` are called on the cluster: the one wherever the run was started, the other in each actor.

    Raises:
        UsageError: Ray is not there, or no such cluster; a chunk can't be written.
        ModelError: an actor was lost again and again.
    """
    ray = _ray()
    with _connected(ray, cluster):
        chunks = _reading(ray, read)
        cpus = cluster.cpus or (1 if gpus else 2)
        total = ray.cluster_resources()
        room = int(total.get("GPU", 0)) if gpus else int(total.get("CPU", 1) // cpus)
        if room < 1:
            what = "GPU" if gpus else f"{cpus} CPUs together"
            raise UsageError(f"the cluster has no {what} for an actor", hint="Ask for fewer with --cpus.")
        done = chunks.map_batches(
            _Actor,
            fn_constructor_args=(make, writer, strict),
            batch_size=1,
            concurrency=room,
            num_cpus=cpus,
            num_gpus=1 if gpus else 0,
            max_restarts=-1,
            max_task_retries=RETRIES,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(cpus)}},
        )
        with _explained():
            for row in done.iter_rows():
                yield pickle.loads(row["part"])  # noqa: S301  (our own actors wrote it)


class _Actor:
    """Holds the model, and measures and writes one chunk after another."""

    def __init__(self, make: Callable[[], Steps], writer: Writer, strict: bool) -> None:  # noqa: FBT001
        self._steps, self._writer, self._strict = make(), writer, strict

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        chunk: Chunk = pickle.loads(batch["chunk"][0])  # noqa: S301  (the driver wrote it)
        part = self._writer.finished(chunk)
        if part is None:
            found, part = self._steps.measured(chunk)
            if not (self._strict and part.failed):
                self._writer.write(chunk, found, part)
        return {"part": np.array([pickle.dumps(part)], object)}


def _reading(ray: Any, read: Callable[[], Iterable[Chunk]]) -> Dataset:
    """The chunks as they are read, one a row: by one task, here where the files are; run again, it reads the same."""
    import pyarrow as pa
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    class Reading(Datasource):  # type: ignore[misc]
        """The documents of the run."""

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, **_: Any) -> list[Any]:  # noqa: ARG002  (texts are read in order)
            about = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(partial(_blocks, read), about)]

    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    assert pa
    return ray.data.read_datasource(Reading(), ray_remote_args={"scheduling_strategy": here, "num_cpus": 0})
