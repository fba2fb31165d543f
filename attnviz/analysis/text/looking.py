"""Which queries look: those of all of a text, of a passage, or those that made what the model wrote."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.text.units import Mask, Reading, makers_of, within
from attnviz.encoding import Encoding
from attnviz.errors import UsageError
from attnviz.record import Request


@dataclass(frozen=True, eq=False)
class Looking:
    """The ``queries`` that look, of ``size`` of a text, and the ``tokens`` whose rows these are, which both rise.

    A token's row is that of its own query; or of a token that the model wrote that of the query before it, from which
    it was predicted. ``units`` are the units of the text. ``every``: all queries look.
    """

    queries: NDArray[np.intp]
    tokens: NDArray[np.intp]
    size: int
    units: Reading
    every: bool = False

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The first of each unit among the ``queries``; units of which none looks have the same as the next."""
        return np.searchsorted(self.tokens, self.units.queries.starts)

    @property
    def queries_mask(self) -> Mask | None:
        """Which queries look (N,), None for all."""
        return None if self.every else np.isin(np.arange(self.size), self.queries)

    @property
    def units_mask(self) -> Mask | None:
        """The units to which these belong (n,), None for all."""
        if self.every:
            return None
        return np.diff(np.append(self.starts, len(self.tokens))) > 0


GENERATED = "generated"
"""Stands for what the model wrote, as a passage of a text of which it wrote some."""


def settled(request: Request, encoding: Encoding) -> Request:
    """``request``, in which ``GENERATED`` is no passage where the model wrote some of the text."""
    if request.passage == GENERATED and encoding.generated:
        return replace(request, passage=None, generated=True)
    return request


def look_from(encoding: Encoding, units: Reading, request: Request) -> Looking:
    """The queries that the ``request`` asks for.

    Raises:
        UsageError: the text does not have the passage, or nothing that the model wrote.
    """
    size = len(encoding)
    every = np.arange(size)
    if request.generated:
        makers = makers_of(encoding)
        if not makers:
            raise _nothing_generated()
        return Looking(every[makers], every[makers] + 1, size, units)
    if request.passage is None:
        return Looking(every, every, size, units, every=True)
    try:
        inside = np.flatnonzero(within("token", encoding, request.passage))
    except UsageError:
        if request.passage == GENERATED:
            raise _nothing_generated() from None
        raise
    return Looking(inside, inside, size, units)


def _nothing_generated() -> UsageError:
    return UsageError(
        "the model wrote none of the text, so there are no generated tokens to look from",
        hint="Let it write some, such as 20 tokens: `generate` 20.",
    )
