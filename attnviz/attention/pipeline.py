"""Compute results in several threads, and hand them on in order, with a few buffers of memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_order(
    compute: Callable[[Job, Tensor], Result], jobs: Sequence[Job], buffers: Sequence[Tensor], workers: int
) -> Iterator[Result]:
    """Yield ``compute(job, buffer)`` for each job, in the order of ``jobs``.

    The buffer of a result is reused when the next result is asked for. With one worker, each result is computed when it
    is asked for. With more, that many threads compute ahead, and torch's own threads rest, since they would wait for
    each other after every operation.
    """
    if workers == 1:
        for job in jobs:
            yield compute(job, buffers[0])
        return
    free, waiting = deque(buffers), deque[tuple[Future[Result], Tensor]]()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for job in jobs:
            if not free:
                future, buffer = waiting.popleft()
                yield future.result()
                free.append(buffer)
            buffer = free.popleft()
            waiting.append((_pool(workers).submit(_quietly, compute, job, buffer), buffer))
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        for future, _ in waiting:
            future.cancel()
        wait([future for future, _ in waiting])
        torch.set_num_threads(threads)


def _quietly(compute: Callable[[Job, Tensor], Result], job: Job, buffer: Tensor) -> Result:
    with torch.inference_mode():  # threads do not inherit the mode
        return compute(job, buffer)


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "attnviz", initializer=torch.set_num_threads, initargs=(1,))
