"""Which heads are meant: all of a model's, or some."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnviz.analysis.table import Table
from attnviz.attention.interventions import no_kind, no_layer, require_head
from attnviz.attention.observers.changed import KeptContexts
from attnviz.attention.tile import Kind
from attnviz.errors import UsageError, few

if TYPE_CHECKING:
    from attnviz.encoding import Encoding
    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native


@dataclass(frozen=True, order=True)
class HeadPlace:
    """A head of a model, by its kind of attention and its numbers."""

    kind: Kind
    layer: int
    head: int

    @property
    def name(self) -> str:
        """``L5 H7``, in an encoder–decoder ``cross L5 H7``."""
        return f"L{self.layer} H{self.head}" if self.kind == "self" else f"{self.kind} L{self.layer} H{self.head}"


def named(places: Sequence[HeadPlace], most: int = 6) -> str:
    """The names of some heads, or how many there are."""
    return few([place.name for place in places], most) if len(places) <= 2 * most else f"{len(places)} heads"


def count_heads(
    backend: Native | Hosted, encoding: Encoding, target: Encoding | None = None
) -> dict[Kind, dict[int, int]]:
    """The number of heads of each layer of each kind of attention; a hosted model runs once to show them."""
    if backend.name == "native":
        return backend.layer_heads
    kept = KeptContexts()
    backend.run(encoding, [kept], target)
    return {kind: {layer: len(each) for layer, each in layers.items()} for kind, layers in kept.found.items()}


def choose_places(
    heads: Mapping[Kind, Mapping[int, int]], wanted: Sequence[tuple[int, int | None]] | None, kind: Kind | None
) -> list[HeadPlace]:
    """The heads that are ``wanted`` (layer, head; None is all of the layer), or all of them where nothing is.

    Args:
        heads: as ``count_heads`` gives them.
        wanted: the heads; None for all.
        kind: which attention of an encoder–decoder; None for all kinds, or cross-attention where heads are wanted.

    Raises:
        UsageError: there is no such head, or no such kind of attention; the message says which there are.
    """
    if kind is not None and kind not in heads:
        raise no_kind(kind, heads)
    kinds: list[Kind] = [kind] if kind else [*heads] if wanted is None or len(heads) == 1 else ["cross"]
    found: list[HeadPlace] = []
    for each in kinds:
        layers = heads[each]
        for layer, head in wanted if wanted is not None else [(layer, None) for layer in layers]:
            if layer not in layers:
                raise no_layer(layer, layers)
            if head is not None:
                require_head(layers[layer], layer, head)
            found += [HeadPlace(each, layer, i) for i in ([head] if head is not None else range(layers[layer]))]
    return [*dict.fromkeys(found)]


_NAME = re.compile(r"\s*(?:L?(\d{1,5})\s*[.,\sH]\s*H?(\d{1,5}|\*))\s*", re.IGNORECASE)


def read_heads(heads: Iterable[tuple[int, int | None] | str]) -> list[tuple[int, int | None]]:
    """Heads as (layer, head), of names such as ``5.7``, ``L5 H7`` or ``5.*`` (all heads of the layer) too.

    Raises:
        UsageError: one can't be read; there are none.
    """
    found: list[tuple[int, int | None]] = []
    for each in heads:
        if isinstance(each, str):
            parts = _NAME.fullmatch(each)
            if parts is None:
                raise UsageError(f"{each!r} is no head", hint="Write layer.head, from 0 on: 5.7, L5H7, or 5.* for all.")
            found.append((int(parts[1]), None if parts[2] == "*" else int(parts[2])))
        else:
            layer, head = each
            if not _is_number(layer) or not (head is None or _is_number(head)):
                raise UsageError(f"{each!r} is no head", hint="Give pairs of a layer and a head: [(5, 7)]")
            found.append((int(layer), None if head is None else int(head)))
    if not found:
        raise UsageError("no head is given", hint="Leave the heads out for all.")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def heads_with_role(table: Table, role: str) -> tuple[list[tuple[int, int | None]], list[str]]:
    """The heads of a table of roles that have a ``role``, the strongest first, and what is to be said of them.

    Raises:
        UsageError: no head has it.
    """
    has = [
        role in (name, *also.split(", "))
        for name, also in zip(table["role"].tolist(), table["also"].tolist(), strict=True)
    ]
    rows = [i for i, one in enumerate(has) if one]
    if not rows:
        best = int(np.nanargmax(np.nan_to_num(np.asarray(table[role], float), nan=-1)))
        raise UsageError(
            f"no head has the role {role} with random tokens",
            hint=f"The highest score has L{table['layer'][best]} H{table['head'][best]}: {table[role][best]:.2f}.",
        )
    found: list[tuple[int, int | None]] = [(int(table["layer"][i]), int(table["head"][i])) for i in rows]
    scores = ", ".join(f"L{table['layer'][i]} H{table['head'][i]} {table[role][i]:.2f}" for i in rows[:6])
    more = f" and {len(rows) - 6} more" if len(rows) > 6 else ""
    return found, [f"Heads with the role {role}, by their scores with random tokens: {scores}{more}."]
