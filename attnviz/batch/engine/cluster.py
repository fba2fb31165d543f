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
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from attnviz.batch.engine.chunk import Chunk
from attnviz.batch.engine.connection import connected
from attnviz.batch.storage.errors import reason
from attnviz.errors import AttnvizError, ModelError, UsageError

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

GO_ON = "What is done stays, and the same command goes on from there."

Item = TypeVar("Item")
Result = TypeVar("Result")
Read = Callable[[Callable[[int], None]], Iterable[Chunk]]
"""Reads chunks, and calls its argument with the number of bytes of each read."""
Bundle = dict[str, "pa.Array"]
"""What processes exchange: a column with one pickled object."""


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
            for done in map(_unpacked, worked):
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
            yield from map(_unpacked, found)


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
        _read,
        fn_args=(read, where),
        batch_size=None,
        num_cpus=0,
        max_retries=RETRIES,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),  # what it reads may lie there alone
    )
    done = chunks.map_batches(
        _Actor,
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
    done = many.map_batches(_done, fn_args=(do, where), batch_size=1, num_cpus=1, max_retries=RETRIES)
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


@dataclass(frozen=True, eq=False)
class _Done:
    """The result of a chunk: the facts of its part, the documents and tokens that were measured now, the bytes read."""

    facts: PartFacts
    documents: int
    tokens: int
    read: int


def _read(_: object, read: Read, where: str) -> Iterator[Bundle]:
    """Yield the chunks, each with the bytes read for it, or an error. Runs where the run was started."""
    _enter(where)
    met = [0]

    def meter(count: int) -> None:
        met[0] += count

    try:
        for chunk in read(meter):
            yield _packed((chunk, met[0]))
            met[0] = 0
    except Exception as error:
        yield _packed(_ours(error, "the texts can't be read"))


def _done(bundle: Mapping[str, Any], do: Callable[[Any], object], where: str) -> Bundle:
    """The result of an item, or an error. Runs on any machine."""
    _enter(where)
    try:
        return _packed(do(pickle.loads(bundle["item"][0])))  # noqa: S301  (what _each made)
    except Exception as error:
        return _packed(_ours(error, "the parts can't be summed up"))


class _Actor:
    """Holds the model, and processes one chunk after the other."""

    def __init__(self, make: Callable[[], Bench], where: str) -> None:
        _enter(where)
        self._make = make
        self._bench: Bench | None = None

    def __call__(self, bundle: Mapping[str, pa.Array]) -> Bundle:
        what = "a worker can't start"
        try:
            chunk, read = _unpacked(bundle)
            # Not before the first chunk: Ray counts how often a chunk is tried, but starts actors anew without end.
            self._bench = self._bench or self._make()
            what = f"a worker failed with the documents {chunk.documents[0].number} to {chunk.documents[-1].number}"
            return _packed(_do(self._bench, chunk, read))
        except Exception as error:
            return _packed(_ours(error, what))


def _do(bench: Bench, chunk: Chunk, read: int) -> _Done:
    counts = [0, 0]

    def count(documents: int, tokens: int) -> None:
        counts[0] += documents
        counts[1] += tokens

    facts = bench.do(chunk, count)
    return _Done(facts, counts[0], counts[1], read)


def _enter(where: str) -> None:
    """Change to the folder in which the command was given, since paths are relative to it, if it is there."""
    with contextlib.suppress(OSError):
        os.chdir(where)


def _ours(error: Exception, what: str) -> AttnvizError:
    """The error as one of ours; an unexpected one says where it was raised."""
    if isinstance(error, AttnvizError):
        return error
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return ModelError(f"{what} ({type(error).__name__}: {reason(error)}, at {where})", hint=GO_ON)


def _packed(item: object) -> Bundle:
    import pyarrow as pa

    return {"item": pa.array([pickle.dumps(item)], pa.large_binary())}


def _unpacked(bundle: Mapping[str, pa.Array]) -> Any:
    """The object that was packed; an error is raised."""
    item = pickle.loads(bundle["item"][0].as_py())  # noqa: S301  (what _packed made)
    if isinstance(item, AttnvizError):
        raise item
    return item
