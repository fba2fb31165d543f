"""Clusters of heads as a table: which heads behave alike, and what those of a cluster do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnviz.analysis.corpus.alike import Alike, Clusters, cluster
from attnviz.analysis.table import Column, Table
from attnviz.errors import count_of

TITLE = "Which heads behave alike?"
_COLUMNS = (
    Column("cluster", "the number of the head's cluster: 1 is the largest", "count"),
    Column("silhouette", "how much nearer it is to its own cluster than to the next, −1 to 1 (Rousseeuw 1987)",
           "score"),
    Column("nearest", "the head that is most alike"),
    Column("divergence", "the Jensen–Shannon divergence from that head's rows in bits, the mean over the rows "
           "(Lin 1991)", "weight"),
    Column("x", "its place on the map of heads (classical multidimensional scaling, Torgerson 1952)", "number",
           shown=False),
    Column("y", "its place on the map, upwards", "number", shown=False),
    Column("medoid", "1 for the head that is nearest to the others of its cluster", "count", shown=False),
)  # fmt: skip


def clusters_table(table: Table, alike: Alike, into: int | None = None) -> Table:
    """The ``table`` of roles with the cluster of each head: cluster by cluster, the most typical heads first.

    Args:
        table: of all heads, as ``heads_table`` makes it.
        alike: how much heads differ, layer by layer.
        into: the number of clusters; None for as many as part the heads best.

    Raises:
        UsageError: as ``cluster``.
    """
    heads = len(np.unique(table["head"]))
    layers = np.unique(table["layer"])
    places = np.searchsorted(layers, table["layer"]) * heads + table["head"]
    names = [f"L{layer} H{head}" for layer in layers.tolist() for head in range(heads)]
    found = cluster(alike.divergence, into)
    added = {
        "cluster": found.number, "silhouette": found.silhouette,
        "nearest": np.array([names[each] for each in found.nearest], object), "divergence": found.apart,
        "x": found.places[:, 0], "y": found.places[:, 1],
        "medoid": np.isin(np.arange(len(names)), found.medoids).astype(np.int64),
    }  # fmt: skip
    basics = [column for column in table.columns if column.name in ("layer", "head")]
    rest = [column for column in table.columns if column.name not in ("layer", "head")]
    first = {"role", "also"}
    columns = (
        *basics, *_COLUMNS,
        *(column if column.name in first else replace(column, shown=False) for column in rest),
    )  # fmt: skip
    values = {**table.values, **{name: each[places] for name, each in added.items()}}
    said = replace(
        table, title=TITLE, columns=columns, values=values, ranked="",
        about={**table.about, "clusters": len(found.medoids), "held": round(found.held, 6)},
        notes=(*_notes(table, found, names, places.tolist(), alike), *table.notes[:1]),
    )  # fmt: skip
    return said.take(np.lexsort((-said["silhouette"], -said["medoid"], said["cluster"])))


def _notes(table: Table, found: Clusters, names: Sequence[str], places: Sequence[int], alike: Alike) -> list[str]:
    """What the heads of each cluster do, and what was compared."""
    roles = dict(zip(places, table["role"].tolist(), strict=True))
    said = []
    for number, medoid in enumerate(found.medoids, 1):
        members = np.flatnonzero(found.number == number).tolist()
        counted = Counter(roles[member] or "no role" for member in members).most_common(3)
        what = ", ".join(f"{role} {count}" for role, count in counted)
        heads = "1 head" if len(members) == 1 else f"{len(members)} heads"
        said.append(f"Cluster {number}: {heads}, most like {names[medoid]} ({what}).")
    said.append(
        f"Compared: {count_of(alike.rows, 'row')} of {count_of(alike.documents, 'document')}; mean silhouette "
        f"{found.silhouette.mean():.2f}; the map holds {100 * found.held:.0f} % of the squared distances."
    )
    return said
