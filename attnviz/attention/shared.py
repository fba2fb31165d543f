"""What an observer that hands tiles on has of those that it hands them to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.tile import Observer


def starts(observers: Sequence[Observer]) -> NDArray[np.int64] | None:
    """The queries at which a task may begin whoever of ``observers`` sees it; None is any."""
    found = [np.asarray(each.starts, np.int64) for each in observers if each.starts is not None]
    return reduce(np.intersect1d, found) if found else None


def many(observers: Sequence[Observer]) -> bool:
    """Whether some of ``observers`` see many runs."""
    return any(observer.many for observer in observers)
