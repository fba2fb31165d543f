"""Find the queries that count: all of a text, those of a passage, or those that predicted the generated tokens."""

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
    """The ``queries`` that count, of a text of ``size`` queries, and the ``tokens`` that they are the rows of.

    The row of a token is its own query; the row of a generated token is the query before it, which predicted it. Both
    arrays ascend. ``units`` are the units of the text, and ``every`` says whether all queries count.
    """

    queries: NDArray[np.intp]
    tokens: NDArray[np.intp]
    size: int
    units: Reading
    every: bool = False

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The index in ``queries`` at which each unit begins; a unit without queries has the index of the next one."""
        return np.searchsorted(self.tokens, self.units.queries.starts)

    @property
    def queries_mask(self) -> Mask | None:
        """The queries that count (N,); None for all."""
        return None if self.every else np.isin(np.arange(self.size), self.queries)

    @property
    def units_mask(self) -> Mask | None:
        """The units that have such queries (n,); None for all."""
        if self.every:
            return None
        return np.diff(np.append(self.starts, len(self.tokens))) > 0


GENERATED = "generated"
"""The name of the passage that the model generated."""


def settled(request: Request, encoding: Encoding) -> Request:
    """Return ``request`` with ``generated`` in place of the passage ``GENERATED``, if the model generated some text."""
    if request.passage == GENERATED and encoding.generated:
        return replace(request, passage=None, generated=True)
    return request


def look_from(encoding: Encoding, units: Reading, request: Request) -> Looking:
    """The queries that the ``request`` asks for.

    Raises:
        UsageError: the text does not have the passage, or the model generated none of it.
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
