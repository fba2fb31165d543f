"""Which heads behave alike: the Jensen–Shannon divergence between their rows, clusters of heads, and a map of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.alone import run_alone
from attnviz.encoding import Encoding, slide_windows
from attnviz.errors import UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from attnviz.model.hosted import Hosted
    from attnviz.model.native.backend import Native

Doubles = NDArray[np.float64]

DOCUMENTS, ROWS = 128, 16
"""Of so many documents, drawn at random, so many rows are compared: all pairs of heads in all rows would take longer
than the corpus itself."""
FEWEST, MOST = 4, 12
"""How many clusters are tried: fewer only set the heads that rest apart from the others."""
_COLUMNS = 1 << 13
"""The weights of a head that are compared at once."""


@dataclass
class Sample:
    """At most ``size`` documents, each with the same chance, of all that are added (Vitter 1985, algorithm R)."""

    seed: int = 0
    size: int = DOCUMENTS
    seen: int = 0
    kept: dict[int, Encoding] = field(default_factory=dict)
    """By their numbers."""

    def __post_init__(self) -> None:
        """Begin to draw."""
        self._generator = np.random.default_rng(self.seed)
        self._places: list[int] = []

    def add(self, encoding: Encoding) -> None:
        """Add a document."""
        number, self.seen = self.seen, self.seen + 1
        if len(self._places) < self.size:
            self._places.append(number)
        else:
            place = int(self._generator.integers(number + 1))
            if place >= self.size:
                return
            del self.kept[self._places[place]]
            self._places[place] = number
        self.kept[number] = encoding

    @property
    def texts(self) -> list[Encoding]:
        """The documents that were drawn, in their order."""
        return [self.kept[number] for number in sorted(self.kept)]


@dataclass(frozen=True, eq=False)
class Alike:
    """The ``divergence`` (P, P) in bits of all pairs of P heads, layer by layer, the mean over ``rows`` rows."""

    divergence: Doubles
    documents: int
    rows: int


def head_divergence(
    backend: Native | Hosted, tokenizer: Tokenizer, texts: Sequence[Encoding], *, causal: bool, seed: int = 0
) -> Alike:
    """Compare the rows of all heads: the mean over the rows of a document, and over the documents.

    For two heads' rows p and q it is the Jensen–Shannon divergence H((p+q)/2) − (H(p)+H(q))/2 in bits (Lin 1991), as
    Clark et al. (2019, section 6) compare heads. At most ``ROWS`` rows of a document count, spread evenly over the
    tokens that are not special, without the first token of a causal model, which sees nothing else. A document that is
    longer than the model is read in one of its windows. No weights are kept but those of the rows.

    Raises:
        InputError, ModelError: as ``backend.run``.
        UsageError: no document has a row that could be compared.
    """
    generator, counts = np.random.default_rng(seed), list[int]()

    def rows() -> Iterator[Doubles]:
        for text in texts:
            read = _fitting(backend, tokenizer, text, generator, causal=causal)
            queries = np.flatnonzero(~np.array(read.special))
            queries = queries[queries > 0] if causal else queries
            if not len(queries):
                continue
            queries = np.unique(queries[np.linspace(0, len(queries) - 1, min(ROWS, len(queries))).round().astype(int)])
            counts.append(len(queries))
            yield _rows(backend, read, queries)

    divergence = mean_divergence(rows())
    if divergence is None:
        raise UsageError("no text has two tokens, so that no rows of heads can be compared", hint="Give longer texts.")
    return Alike(divergence, len(counts), sum(counts))


def _fitting(
    backend: Native | Hosted, tokenizer: Tokenizer, text: Encoding, generator: np.random.Generator, *, causal: bool
) -> Encoding:
    if backend.limit is None or len(text) <= backend.limit:
        return text
    windows = [*slide_windows(tokenizer, text, limit=backend.limit, causal=causal)]
    chosen: Encoding = windows[int(generator.integers(len(windows)))].encoding
    return chosen


def _rows(backend: Native | Hosted, text: Encoding, queries: NDArray[np.intp]) -> Doubles:
    """The rows of some queries in all heads, (P, queries, keys)."""
    from attnviz.attention.observers import OnlyQueries, Weights

    kept = Weights()
    run_alone(backend, text, [OnlyQueries([kept], queries)])
    found = kept.stacked(backend.kinds[0]).double().cpu().numpy()  # (L, H, queries, keys)
    return np.asarray(found.reshape(-1, *found.shape[2:]))


def mean_divergence(rows: Iterable[Doubles]) -> Doubles | None:
    """The Jensen–Shannon divergence in bits between all heads (P, P), the mean over the rows of each of the arrays
    ``rows`` (P, rows, keys), and over these; None where there are none.
    """
    import torch

    parts: list[Tensor] = []
    weights: list[Tensor] = []
    waiting, total, count = 0, None, 0
    for each in rows:
        heads, queries, _ = each.shape
        flat = torch.from_numpy(each).float().reshape(heads, -1)
        flat = flat[:, (flat != 0).any(0)]
        parts.append(flat)
        weights.append(torch.full((flat.shape[1],), 1 / queries))
        waiting, count = waiting + flat.shape[1], count + 1
        if waiting >= _COLUMNS:
            total, parts, weights, waiting = _entropies(parts, weights, total), [], [], 0
    if parts:
        total = _entropies(parts, weights, total)
    if total is None:
        return None
    entropy = total / (count * np.log(2))  # (P, P), of the mean of two heads; on the diagonal a head's own
    own = np.diagonal(entropy)
    return np.asarray(entropy - (own[:, None] + own) / 2).clip(0, 1)


def _entropies(parts: Sequence[Tensor], weights: Sequence[Tensor], total: Doubles | None) -> Doubles:
    """Add the entropies (P, P) in nats of the mean of each pair of heads; each column of weights counts ``weights``."""
    import torch

    half, weight = torch.cat([*parts], 1) / 2, torch.cat([*weights])
    heads = len(half)
    found = np.zeros((heads, heads)) if total is None else total
    for head in range(heads):
        pairs = torch.special.entr(half[head:] + half[head]) @ weight
        found[head, head:] += pairs.double().cpu().numpy()
        found[head + 1 :, head] = found[head, head + 1 :]
    return found


@dataclass(frozen=True, eq=False)
class Clusters:
    """Heads in clusters, of P heads.

    Attributes:
        number: the cluster of each head from 1 on (P,); the largest cluster is the first.
        silhouette: how much nearer a head is to its own cluster than to the next, −1 to 1 (Rousseeuw 1987), (P,).
        medoids: the head in each cluster that is nearest to the others.
        places: a map of the heads (P, 2), in which distances are the roots of divergences as far as two axes hold.
        held: how much of all squared distances these two axes hold.
        nearest: the head that is most alike (P,), and its divergence.
    """

    number: NDArray[np.int64]
    silhouette: Doubles
    medoids: tuple[int, ...]
    places: Doubles
    held: float
    nearest: NDArray[np.int64]
    apart: Doubles


def cluster(divergence: Doubles, into: int | None = None) -> Clusters:
    """Cluster heads by the square root of their divergence, which is a metric (Endres & Schindelin 2003).

    Those clusters are joined whose heads then lie least apart (Ward 1963, by scipy), which needs distances that points
    in some space can have: these can (Fuglede & Topsøe 2004). It ends with ``into`` clusters; without a number with as
    many, from 4 to 12, as give the largest mean silhouette.

    Raises:
        UsageError: scipy is not installed; there are fewer heads, or fewer than three.
    """
    heads = len(divergence)
    if heads < 3 or (into is not None and not 2 <= into <= heads):
        raise UsageError(f"{heads} heads make no {into or 2} clusters", hint=f"Give a number from 2 to {heads}.")
    try:
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform
    except ImportError:
        raise UsageError("clusters of heads need scipy", hint="pip install 'attnviz[answers]'") from None
    apart = np.sqrt(divergence)
    tree = linkage(squareform(apart, checks=False), "ward")
    tried = [into] if into else range(min(FEWEST, heads - 1), min(MOST, heads - 1) + 1)
    cuts = [np.asarray(fcluster(tree, count, "maxclust"), np.int64) for count in tried]
    found = [silhouettes(apart, cut) for cut in cuts]
    best = max(range(len(cuts)), key=lambda i: float(found[i].mean()))
    sizes = np.bincount(cuts[best])
    order = np.argsort(-sizes[1:], kind="stable")
    number = np.argsort(order)[cuts[best] - 1] + 1
    medoids = []
    for each in range(1, number.max() + 1):
        members = np.flatnonzero(number == each)
        medoids.append(int(members[divergence[np.ix_(members, members)].sum(0).argmin()]))
    places, held = classical_scaling(divergence)
    others = divergence + np.where(np.eye(heads, dtype=bool), np.inf, 0)
    nearest = others.argmin(1)
    return Clusters(
        number, found[best], tuple(medoids), places, held, nearest, others[np.arange(heads), nearest]
    )  # fmt: skip


def silhouettes(apart: Doubles, cut: NDArray[np.int64]) -> Doubles:
    """The silhouette of each head (Rousseeuw 1987), 0 for one that is alone: ``apart`` (P, P), its cluster (P,)."""
    numbers = np.unique(cut)
    member = (cut[:, None] == numbers).astype(np.float64)  # (P, clusters)
    size = member.sum(0)
    sums = apart @ member
    own_size = size[np.searchsorted(numbers, cut)]
    own = (sums * member).sum(1) / np.maximum(own_size - 1, 1)
    other = np.where(member > 0, np.inf, sums / size).min(1)
    if len(numbers) == 1:
        return np.zeros(len(cut))
    most = np.maximum(np.maximum(own, other), np.finfo(float).tiny)
    return np.where(own_size > 1, (other - own) / most, 0)


def classical_scaling(squared: Doubles) -> tuple[Doubles, float]:
    """A map (P, 2) of points by their ``squared`` distances (P, P), and the share of these that two axes hold.

    Classical multidimensional scaling (Torgerson 1952). Roots of Jensen–Shannon divergences are distances in a Hilbert
    space (Fuglede & Topsøe 2004), so that no eigenvalue is negative but by rounding.
    """
    count = len(squared)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-centring @ squared @ centring / 2)
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    axes = vectors[:, :2] * np.sqrt(values[:2])
    axes = axes * np.where(axes[np.abs(axes).argmax(0), [0, 1]] < 0, -1, 1)  # the sign of an axis is arbitrary
    return axes, float(values[:2].sum() / max(values.sum(), np.finfo(float).tiny))
