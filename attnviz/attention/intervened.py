"""Interventions that hold for all runs in a block, and what they may be of."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from attnviz.attention.interventions import Intervention, no_kind, no_layer, require_head
from attnviz.attention.tile import Kind
from attnviz.errors import UsageError

CHANGED = "heads were changed by interventions"
"""The note of a record of a run under interventions."""


class Intervened:
    """What runs under interventions. Those of a block hold in the thread that opened it, and in no other.

    ``active`` may be shared: what holds for one holds for all then.
    """

    layout_note = ""
    """What a reader must know of the weights that a model hands in by itself."""
    read_as = ""
    """The language whose parts of the model read all texts, where it has some for each."""

    @property
    def own_note(self) -> str:
        """What a reader must know of the weights of a run without interventions."""
        return "; ".join(filter(None, (self.layout_note, self.read_as and f"read as {self.read_as}")))

    @property
    def note(self) -> str:
        """What a reader must know of the weights of a run."""
        return CHANGED if self.interventions else self.own_note

    @cached_property
    def active(self) -> threading.local:
        """The interventions of each thread."""
        return threading.local()

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """Those that hold for all runs in this thread, in the order in which they are applied."""
        found: tuple[Intervention, ...] = getattr(self.active, "found", ())
        return found

    def require_changeable(self) -> None:
        """Raise an ``UnsupportedModel`` where nothing can be put in the place of what heads do."""

    @contextlib.contextmanager
    def intervened(self, interventions: Sequence[Intervention]) -> Iterator[None]:
        """Let all runs inside the block apply the ``interventions``, after those of blocks around it."""
        before = self.interventions
        self.active.found = (*before, *interventions)
        try:
            yield
        finally:
            self.active.found = before


def require_interventions(interventions: Sequence[Any], heads: Mapping[Kind, Mapping[int, int]] | None = None) -> None:
    """Raise a ``UsageError`` where one is none, or is of a head that there is not.

    Args:
        interventions: what was given.
        heads: the number of heads of each layer, by the kinds of attention; None if that is not known before a run.
    """
    for each in interventions:
        if not isinstance(each, Intervention):
            raise UsageError(f"{each!r} is no intervention", hint="Give such as attnviz.Zero(5, 7).")
    if heads is None:
        return
    require_layers(interventions, heads)
    for each in interventions:
        if each.layer is not None and each.head is not None:
            most = max(of.get(each.layer, 0) for kind, of in heads.items() if each.kind in (None, kind))
            require_head(most, each.layer, each.head)


def require_layers(interventions: Sequence[Intervention], layers: Mapping[Kind, Collection[int]]) -> None:
    """Raise a ``UsageError`` where an intervention is of a kind of attention, or of a layer, that there is not."""
    for each in interventions:
        found = [of for kind, of in layers.items() if each.kind in (None, kind)]
        if not found:
            raise no_kind(str(each.kind), layers)
        if each.layer is not None and not any(each.layer in of for of in found):
            raise no_layer(each.layer, found[0])
