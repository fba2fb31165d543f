"""A run on a Ray cluster: the same chunks, processed by actors that each hold the model.

Ray Data reads ahead, gives each actor the next chunk, restarts a lost actor and gives it its chunk again; nothing of
that is done here. An actor writes the part of a chunk itself, so that only counts come back. Tasks of the same cluster
sum up the parts.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from attnviz.batch.engine.actors import GO_ON, Actor, Read, do_item, read_chunks, unpacked
from attnviz.batch.engine.connection import connected
from attnviz.errors import ModelError, UsageError

if TYPE_CHECKING:  # torch comes with them, which who reads need not wait for
    import pyarrow as pa

    from attnviz.batch.engine.progress import JobProgress
    from attnviz.batch.engine.run import Bench
    from attnviz.batch.output.parts import PartFacts

RETRIES = 3
"""How often a chunk is tried again after its actor was lost; a chunk that kills them all ends the run."""
CPUS = 2
"""The CPUs of an actor by default, if a machine has as many."""
AHEAD = 256 * 2**20
"""The bytes of chunks, and of what else Ray Data holds, that may wait for an actor."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cluster:
    """Which cluster to use.

    Args:
        address: the address of a cluster that this machine is part of; ``auto`` finds it, None starts one here.
        cpus: the CPUs of an actor; None for two, or for one beside a GPU.
    """

    address: str | None = None
    cpus: int | None = None


@contextlib.contextmanager
def joined(cluster: Cluster, device: str) -> Iterator[Joined]:
    """Join a cluster that runs models on the ``device``, and leave it at the end.

    Raises:
        UsageError: Ray is not installed, there is no such cluster, or no machine of it has room for an actor.
    """
    gpu = device.startswith("cuda")
    if gpu and device != "cuda":
        raise UsageError(
            f"`device` is {device!r}, but on a cluster each worker has a GPU of its own", hint="Give cuda."
        )
    with connected(cluster.address) as ray:
        yield Joined(ray, *_room(ray, cluster.cpus, gpu=gpu))


@dataclass(frozen=True)
class Joined:
    """A cluster that was joined: what an actor ``needs``, and for how many ``actors`` there is room."""

    ray: ModuleType
    needs: Mapping[str, int]
    actors: int

    def run(self, read: Read, make: Callable[[], Bench], progress: JobProgress) -> Iterator[PartFacts]:
        """Process all chunks that ``read`` yields, and yield the facts of each part as soon as it is done.

        Both functions are called on the cluster, in the working directory of this process: ``read`` once (again if its
        process is lost) on the machine where the run was started, ``make`` in each actor. ``progress`` counts chunks
        that are done, and not what is read ahead.

        Raises:
            UsageError: a chunk can't be written.
            SomeFailed: as ``Bench.do``.
            ModelError: actors were lost again and again with the same chunk, or failed unexpectedly.
        """
        with contextlib.closing(_worked(self, read, make)) as worked:  # before the connection is
            for done in map(unpacked, worked):
                progress.read(done.read)
                progress.found(done.documents)
                progress.worked(done.documents, done.tokens)
                yield done.facts

    def each(self, do: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Call ``do`` on each of the ``items``, on any machine, and yield the results in order, as ``map`` does.

        Raises:
            AttnvizError: as ``do``.
            ModelError: machines were lost again and again with the same item, or failed unexpectedly.
        """
        with contextlib.closing(_each(self.ray, do, items)) as found:
            yield from map(unpacked, found)


def _room(ray: ModuleType, cpus: int | None, *, gpu: bool) -> tuple[dict[str, int], int]:
    """What an actor needs, and the number of actors that there is room for.

    Raises:
        UsageError: there is room for none.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max((int(machine.get("CPU", 0)) for machine in machines), default=0)
    needs = {"CPU": cpus or (1 if gpu else max(1, min(CPUS, most))), **({"GPU": 1} if gpu else {})}
    actors = sum(min(int(machine.get(what, 0) // amount) for what, amount in needs.items()) for machine in machines)
    if not actors:
        has = ", ".join(_amounts({what: int(machine.get(what, 0)) for what in ("CPU", "GPU")}) for machine in machines)
        raise UsageError(
            f"a worker needs {_amounts(needs)}, but no machine of the cluster has that: {has}",
            hint="Give fewer `cpus`." if needs["CPU"] > most else "Give another `device`, or a cluster that has it.",
        )
    return needs, actors


def _amounts(of: Mapping[str, int]) -> str:
    return " and ".join(f"{amount} {what}{'' if amount == 1 else 's'}" for what, amount in of.items())


def _worked(joined: Joined, read: Read, make: Callable[[], Bench]) -> Generator[Mapping[str, pa.Array]]:
    """Yield the results of all chunks from Ray Data."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray = joined.ray
    _set(ray, in_order=False)
    here, where = ray.get_runtime_context().get_node_id(), os.getcwd()  # noqa: PTH109
    chunks = ray.data.from_items([where]).map_batches(
        read_chunks,
        fn_args=(read, where),
        batch_size=None,
        num_cpus=0,
        max_retries=RETRIES,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),  # what it reads may lie there alone
    )
    done = chunks.map_batches(
        Actor,
        fn_constructor_args=(make, where),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=joined.actors),
        num_cpus=joined.needs["CPU"],
        num_gpus=joined.needs.get("GPU", 0),
        max_restarts=-1,
        max_task_retries=RETRIES,
    )
    yield from _taken(ray, done)


def _each(ray: ModuleType, do: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Mapping[str, pa.Array]]:
    """Yield the result of each item from Ray Data: each is a task."""
    _set(ray, in_order=True)
    many = ray.data.from_items([pickle.dumps(item) for item in items], override_num_blocks=len(items))
    where = os.getcwd()  # noqa: PTH109
    done = many.map_batches(do_item, fn_args=(do, where), batch_size=1, num_cpus=1, max_retries=RETRIES)
    yield from _taken(ray, done)


def _set(ray: ModuleType, *, in_order: bool) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # each row is a block, and goes on at once
    context.execution_options.resource_limits = ray.data.ExecutionResources(object_store_memory=AHEAD)
    context.execution_options.preserve_order = in_order


def _taken(ray: ModuleType, data: Any) -> Generator[Mapping[str, pa.Array]]:
    try:
        yield from data.iter_batches(batch_size=1, batch_format="pyarrow", prefetch_batches=0)
    except Exception as error:
        raise _lost(ray, error) from None


def _lost(ray: ModuleType, error: Exception) -> ModelError:
    """The error for what Ray gave up on, without its pages of traces."""
    unread = re.search(r"System error: (.+)", str(error))  # of what Ray gives a worker; also where an actor died of it
    if unread:
        return ModelError(
            f"a worker of the cluster can't load what it is to do ({unread[1]})",
            hint="Every machine of it needs attnviz, Python and the packages, in the versions that are here.",
        )
    lost = ray.exceptions.ActorUnavailableError, ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError
    if isinstance(error, lost):
        return ModelError(
            f"workers died {RETRIES + 1} times over the same documents, perhaps for lack of memory",
            hint=f"Give each more of the machine's: with higher `cpus` there are fewer. {GO_ON}",
        )
    said = str(error).strip().splitlines() or ["it does not say why"]
    return ModelError(f"Ray gave up ({type(error).__name__}: {said[-1]})", hint=GO_ON)
