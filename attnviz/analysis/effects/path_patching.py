"""Direct path patching: by which way what a head writes in the clean text moves the answer to a corrupt one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.analysis.effects.ablation import OnProgress
from attnviz.analysis.effects.patching import score_table
from attnviz.analysis.effects.places import HeadPlace
from attnviz.analysis.effects.sides import Sides
from attnviz.analysis.table import Column, Table
from attnviz.attention.observers.changed import KeptContexts
from attnviz.errors import UsageError, join_ranges
from attnviz.model.architecture.description import mixer_name
from attnviz.model.native.paths import Receiver, Sender, attention_at, receivers_of

if TYPE_CHECKING:
    from attnviz.model.native.backend import Native
    from attnviz.model.native.forward import Network

MOST = 3e12
"""How many multiplications all paths together may take: some minutes."""
_FROM = (
    Column("from", "the head whose output is that of the clean text"),
    Column(
        "to",
        "what reads it, straight from the head: later heads, an MLP, a layer that does not attend, or what comes after "
        "the last layer",
    ),
    Column("by", "by what a head reads it: query, key, value or gate"),
)
_NUMBERS = tuple(
    Column(name, f"{about}; none where there is none", "count", shown=False)
    for name, about in (
        ("from_layer", "the layer of the head"),
        ("from_head", "its number"),
        ("to_layer", "the layer of what reads"),
        ("to_head", "the number of the head that reads, of several the first"),
        ("to_heads", "how many heads read"),
    )
)
_STRAIGHT = (
    "What the head writes in the clean text reaches what reads it straight through the residual stream: all in between "
    "is as in the corrupt text. What reads it then changes what comes after it."
)
_BY_MLPS = (
    "What the head writes in the clean text reaches what reads it through the residual stream and MLPs, and no other "
    "head (Wang et al. 2022): other heads in between are as in the corrupt text."
)


@dataclass(frozen=True)
class Edge:
    """A way from a head to what reads it."""

    sender: HeadPlace
    receiver: Receiver


def edges_from(
    network: Network, sender: HeadPlace, receiver: tuple[int, int | None] | None = None, *, through_mlps: bool = False
) -> list[Edge]:
    """All ways straight from a head; those into one ``receiver`` (layer, head) alone, if it is given.

    ``through_mlps``: MLPs are part of a way, and none ends in one.

    Raises:
        UsageError: that head does not read the sender.
    """
    found = [
        Edge(sender, each)
        for each in receivers_of(network, sender.kind, sender.layer)
        if not (through_mlps and each.part == "mlp")
    ]
    if receiver is None:
        return found
    some = [each for each in found if _is_of(network, each.receiver, *receiver)]
    if not some:
        raise UsageError(
            f"nothing goes straight from {sender.name} to L{receiver[0]} H{receiver[1]}: a head writes for those of "
            "later layers",
            hint="Give the earlier head first: --path 2.1,5.4",
        )
    return some


def _is_of(network: Network, receiver: Receiver, layer: int, head: int | None) -> bool:
    """Whether a receiver is of a head, or of the group that it is in."""
    if receiver.head is None or head is None or receiver.layer != layer:
        return False
    first, count = _heads(network, receiver)
    return first <= head < first + count


def _heads(network: Network, receiver: Receiver) -> tuple[int, int]:
    """The first of the heads that read what a ``receiver`` of heads reads, and how many they are."""
    number = receiver.head or 0
    spec = attention_at(network, receiver.kind, receiver.layer)
    shared = 1 if receiver.part in ("query", "gate") else spec.heads // spec.kv_heads
    return number * shared, shared


def patch_paths(
    sides: Sides,
    edges: Sequence[Edge],
    *,
    through_mlps: bool = False,
    about: dict[str, Any] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Table:
    """Run the corrupt text once for each of some ways, along which the clean text comes.

    Args:
        sides: the texts and what is scored, of a model that runs natively.
        edges: the ways.
        through_mlps: whether what reaches an MLP on its way goes on from it (Wang et al. 2022).
        about: what the answer is of.
        on_progress: is told how many runs are done, and of how many.

    Raises:
        UsageError: they are too many.
        InputError, ModelError: the model can't be run.
    """
    backend = sides.corrupt.backend
    if backend.name != "native":
        raise TypeError("paths are of native models")
    require_few(backend, sides, edges)
    kept = KeptContexts()
    backend.run(sides.clean.encoding, [kept], sides.clean.target)
    scores = np.full(len(edges), np.nan)
    done = 0
    for sender in dict.fromkeys(each.sender for each in edges):
        own = [i for i, each in enumerate(edges) if each.sender == sender]
        place = sender.kind, sender.layer, sender.head
        given = Sender(*place, kept.found[sender.kind][sender.layer][sender.head])
        variants = [[edges[i].receiver] for i in own]
        read = sides.corrupt.encoding, given, variants, sides.corrupt.target
        for number, states in backend.run_paths(*read, through_mlps=through_mlps):
            scores[own[number]] = sides.score(sides.corrupt.logits_of(states))
            done += 1
            on_progress(done, len(edges))
    return _table(sides, backend.network, edges, scores, about or {}, through_mlps=through_mlps)


def _table(
    sides: Sides, network: Network, edges: Sequence[Edge], scores: Any, about: dict[str, Any], *, through_mlps: bool
) -> Table:
    rows = [_row(network, each) for each in edges]
    values = {column.name: np.array([row[column.name] for row in rows], object) for column in (*_FROM, *_NUMBERS)}
    senders = {each.sender.name for each in edges}
    one = next(iter(senders)) if len(senders) == 1 else ""
    title = f"By which way does {one or 'each head'} restore {sides.name}?"
    notes = [*sides.notes(), _BY_MLPS if through_mlps else _STRAIGHT, *_shared(network, edges)]
    about = {**about, **sides.about(), "path": one or "all", "through_mlps": through_mlps}
    table = score_table(sides, title, (*_FROM, *_NUMBERS), values, scores)
    table = table.without("from") if one else table
    return Table(**vars(table) | {"notes": tuple(notes), "about": about})


def _row(network: Network, edge: Edge) -> dict[str, Any]:
    sender, receiver = edge.sender, edge.receiver
    found = {
        "from": sender.name, "from_layer": sender.layer, "from_head": sender.head,
        "by": "" if receiver.head is None else receiver.part, "to_layer": receiver.layer, "to_head": None,
        "to_heads": None,
    }  # fmt: skip
    of = "" if receiver.kind == "self" else f"{receiver.kind} "
    if receiver.part == "output":
        return found | {"to": "output", "to_layer": None}
    if receiver.part == "mlp":
        return found | {"to": f"{of}L{receiver.layer} MLP"}
    if receiver.part == "mixer":
        return found | {"to": f"{of}L{receiver.layer} {mixer_name(network.spec.mixers[receiver.layer])}"}
    first, count = _heads(network, receiver)
    others = f"–{first + count - 1}" if count > 1 else ""
    return found | {"to": f"{of}L{receiver.layer} H{first}{others}", "to_head": first, "to_heads": count}


def _shared(network: Network, edges: Sequence[Edge]) -> list[str]:
    """That heads of a group, or layers, share keys and values, where some do."""
    counts = {_heads(network, each.receiver)[1] for each in edges if each.receiver.head is not None}
    found = []
    if counts > {1}:
        found.append(
            f"Groups of {max(counts)} heads share keys and values: a way by key or value goes into all of a group, one "
            "by query into one head."
        )
    borrowing = [i for i, each in network.spec.attentions.items() if each.keys_of is not None]
    if borrowing:
        found.append(
            f"Layers {join_ranges(borrowing)} use keys and values of earlier layers: a way by these ends in the layer "
            "that makes them, and goes on in all that use them."
        )
    return found


def require_few(backend: Native, sides: Sides, edges: Sequence[Edge]) -> None:
    """Raise a ``UsageError`` where the runs of all ways would take too long."""
    each = backend.multiplications(sides.corrupt.encoding, sides.corrupt.target) / 2  # half of the layers on average
    if each * len(edges) > MOST:
        raise UsageError(
            f"{len(edges):,} ways are too many: on this text, about {max(1, int(MOST / each)):,} take some minutes",
            hint="Give the head that a way begins at: --path 5.7; or some of them: --path all --head 5.*",
        )
