"""How a text is observed: all its weights kept and replayed, only observed as they pass by, or in windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnviz.model import backends
from attnviz.record import Request

FEW = 1 << 24
"""Where all weights take no more bytes than this, they are kept: it costs nothing, and no compiled code is loaded."""


@dataclass(frozen=True)
class Plan:
    """The ``way`` of a text, and ``why``."""

    way: Literal["kept", "observed", "windows"]
    why: str


def plan(size: int, request: Request, *, windows: bool) -> Plan:
    """The plan of a text whose weights of all heads take ``size`` bytes.

    What is kept is replayed to the same observers as what passes by, and it is what a check compares in full. Of a
    long text the weights are too many, and the check has the rows that are kept as evidence.
    """
    if windows:
        return Plan("windows", "the text is read in windows")
    if size > backends.MAX_KEPT_BYTES:
        return Plan("observed", "all weights are too many")
    if size <= FEW:
        return Plan("kept", "all weights are few")
    if request.evidence:
        return Plan("kept", "all weights fit, and are checked")
    return Plan("observed", "nobody asks for all weights")
