"""Work that is done by several threads at once and handed on in order, in as few places of memory as that takes."""

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
    compute: Callable[[Job, Tensor], Result], jobs: Sequence[Job], places: Sequence[Tensor], workers: int
) -> Iterator[Result]:
    """``compute(job, place)`` of each of ``jobs``, in their order.

    A result's place is used again when the next is asked for. With one worker it is computed when it is asked for. With
    more, so many threads compute ahead, each by itself: torch's own, which would meet after every operation, rest.
    """
    if workers == 1:
        for job in jobs:
            yield compute(job, places[0])
        return
    free, waiting = deque(places), deque[tuple[Future[Result], Tensor]]()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for job in jobs:
            if not free:
                future, place = waiting.popleft()
                yield future.result()
                free.append(place)
            place = free.popleft()
            waiting.append((_pool(workers).submit(_quietly, compute, job, place), place))
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        for future, _ in waiting:
            future.cancel()
        wait([future for future, _ in waiting])
        torch.set_num_threads(threads)


def _quietly(compute: Callable[[Job, Tensor], Result], job: Job, place: Tensor) -> Result:
    with torch.inference_mode():  # the mode is the thread's, and not inherited
        return compute(job, place)


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "attnviz", initializer=torch.set_num_threads, initargs=(1,))
