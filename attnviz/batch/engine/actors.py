"""What runs on the machines of a Ray cluster, and what they exchange."""

from __future__ import annotations

import contextlib
import os
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnviz.batch.engine.chunk import Chunk
from attnviz.batch.storage.errors import reason
from attnviz.errors import AttnvizError, ModelError

if TYPE_CHECKING:  # torch comes with them, which who reads need not wait for
    import pyarrow as pa

    from attnviz.batch.engine.run import Bench
    from attnviz.batch.output.parts import PartFacts

GO_ON = "What is done stays, and the same command goes on from there."
Read = Callable[[Callable[[int], None]], Iterable[Chunk]]
"""Reads chunks, and calls its argument with the number of bytes of each read."""
Bundle = dict[str, "pa.Array"]
"""What processes exchange: a column with one pickled object."""


@dataclass(frozen=True, eq=False)
class Done:
    """The result of a chunk: the facts of its part, the documents and tokens that were measured now, the bytes read."""

    facts: PartFacts
    documents: int
    tokens: int
    read: int


def read_chunks(_: object, read: Read, where: str) -> Iterator[Bundle]:
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


def do_item(bundle: Mapping[str, Any], do: Callable[[Any], object], where: str) -> Bundle:
    """The result of an item, or an error. Runs on any machine."""
    _enter(where)
    try:
        return _packed(do(pickle.loads(bundle["item"][0])))  # noqa: S301  (what _each made)
    except Exception as error:
        return _packed(_ours(error, "the parts can't be summed up"))


class Actor:
    """Holds the model, and processes one chunk after the other."""

    def __init__(self, make: Callable[[], Bench], where: str) -> None:
        _enter(where)
        self._make = make
        self._bench: Bench | None = None

    def __call__(self, bundle: Mapping[str, pa.Array]) -> Bundle:
        """The result of a chunk, or an error."""
        what = "a worker can't start"
        try:
            chunk, read = unpacked(bundle)
            # Not before the first chunk: Ray counts how often a chunk is tried, but starts actors anew without end.
            self._bench = self._bench or self._make()
            what = f"a worker failed with the documents {chunk.documents[0].number} to {chunk.documents[-1].number}"
            return _packed(_do(self._bench, chunk, read))
        except Exception as error:
            return _packed(_ours(error, what))


def _do(bench: Bench, chunk: Chunk, read: int) -> Done:
    counts = [0, 0]

    def count(documents: int, tokens: int) -> None:
        counts[0] += documents
        counts[1] += tokens

    facts = bench.do(chunk, count)
    return Done(facts, counts[0], counts[1], read)


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


def unpacked(bundle: Mapping[str, pa.Array]) -> Any:
    """The object that was packed; an error is raised."""
    item = pickle.loads(bundle["item"][0].as_py())  # noqa: S301  (what _packed made)
    if isinstance(item, AttnvizError):
        raise item
    return item
