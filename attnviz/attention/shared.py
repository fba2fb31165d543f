"""Attributes of an observer that hands tiles on to other observers, from those of the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from attnviz.attention.tile import Observer


def starts(observers: Sequence[Observer]) -> NDArray[np.int64] | None:
    """The queries at which a task may begin for all ``observers``; None for any."""
    found = [np.asarray(each.starts, np.int64) for each in observers if each.starts is not None]
    return reduce(np.intersect1d, found) if found else None


def many(observers: Sequence[Observer]) -> bool:
    """Whether one of the ``observers`` sees many runs."""
    return any(observer.many for observer in observers)
