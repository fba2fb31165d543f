"""What heads do by their weights alone: which copy, which compose, and which can do induction (Elhage et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.table import Column, Table, head_columns, ranked_by

if TYPE_CHECKING:
    from torch import Tensor

    from attnviz.model.circuits import Circuits

Doubles = NDArray[np.float64]
KINDS = ("q", "k", "v")
"""What of a head is made of what an earlier one wrote: its queries, its keys, or its values."""
_MANY = 12
"""The most earlier heads by whose keys a head is tried for induction."""
_HEADS = (
    Column("copying", "Σλ/Σ|λ| of W_U W_OV W_E: 1 where a head raises the very tokens that it reads, −1 where it "
           "lowers them (Elhage et al. 2021)", "score"),
    Column("previous", "weight on the token before where all tokens are the mean of the vocabulary, so that only "
           "positions tell them apart, straight from the embeddings", "share"),
    Column("induction", "the smallest of copying, of matching, and of previous of the head whose keys it takes",
           "score"),
    Column("induction_from", "that head: one that looks at the token before", shown=False),
    Column("matching", "Σλ/Σ|λ| of W_E' W_QK W_OV' W_E: 1 where a query looks for tokens behind its own, by keys that "
           "the other head wrote (K-composition, Elhage et al. 2021)", "score"),
    *(
        each for kind, what in (("k", "keys"), ("q", "queries"), ("v", "values")) for each in (
            Column(f"{kind}_from", f"the earlier head that most of its {what} may come from", of=f"{kind}_composition"),
            Column(f"{kind}_composition", f"how much of its {what} may come from that head, by that of random matrices "
                   f"({kind.upper()}-composition, Elhage et al. 2021)", "lift"),
        )
    ),
)  # fmt: skip
_EDGES = (
    Column("kind", "what of the head is composed with what the other writes: q, k or v"),
    Column("from", "the earlier head"),
    Column("composition", "‖W W_OV‖ / (‖W‖ ‖W_OV‖), Frobenius norms; W the QK circuit (its transpose for q) or the OV "
           "circuit of the head, W_OV that of the earlier one (Elhage et al. 2021)", "weight"),
    Column("times", "composition by that of random matrices, 1/√C", "lift"),
    Column("from_layer", "the layer of the earlier head", "count", shown=False),
    Column("from_head", "the earlier head's number", "count", shown=False),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Composition:
    """How much each of P heads, layer by layer, composes with each earlier one: (3, P, P), a head's row its own.

    NaN for heads that are not in an earlier layer, and for keys and values that are made in an earlier one.
    ``baseline`` is that of random matrices of this width: for any two of which one is turned at random, the mean of the
    squared score is 1/C, whatever their ranks.
    """

    scores: Doubles
    baseline: float


def positivity(matrices: Tensor) -> Doubles:
    """Σλ/Σ|λ| of the eigenvalues of each of the ``matrices`` (…, D, D): 1 if all are positive (Elhage et al. 2021).

    NaN for a matrix without any eigenvalue but 0, up to rounding.
    """
    import torch

    values = torch.linalg.eigvals(matrices.double())
    size, norm = values.abs().sum(-1), torch.linalg.matrix_norm(matrices.double())
    found = torch.where(size > 1e-9 * norm, values.real.sum(-1) / size, torch.nan)
    return np.asarray(found.cpu().numpy())


def copying(circuits: Circuits) -> Doubles:
    """The score of copying of each head (L, H), from matrices of D × D whose eigenvalues those of V × V are."""
    layers, copied = circuits.layers, circuits.copied
    if copied is None:
        return np.full((len(layers), len(layers[0].query)), np.nan)
    return np.stack([positivity(layer.value.double() @ copied @ layer.output.double()) for layer in layers])


def composition(circuits: Circuits) -> Composition:
    """Q-, K- and V-composition of all pairs of heads, without any matrix of C × C.

    ‖A B‖ does not change where an outer factor is replaced by the R of its QR decomposition, so that each pair takes
    a product of D × C and C × D.
    """
    width = circuits.layers[0].query.shape[-1]
    written = [_normed(layer.output @ _triangle(layer.value.mT).mT) for layer in circuits.layers]  # (H, C, D)
    heads = len(written[0])
    found = np.full((3, len(written) * heads, len(written) * heads), np.nan)
    for i, layer in enumerate(circuits.layers):
        read = (
            _triangle(layer.key.mT) @ layer.query,
            _triangle(layer.query.mT) @ layer.key,
            _triangle(layer.output) @ layer.value,
        )
        for j in range(i):
            sources = written[j].transpose(0, 1).flatten(1)  # (H, C, D) → (C, H·D)
            for kind, each in enumerate(read if circuits.numbers[j] < layer.source else read[:1]):
                made = _normed(each).flatten(0, 1) @ sources  # (H·D, H·D)
                norms = made.view(heads, each.shape[1], heads, -1).square().sum((1, 3)).sqrt()
                found[kind, i * heads : (i + 1) * heads, j * heads : (j + 1) * heads] = norms.double().cpu().numpy()
    return Composition(found, width**-0.5)


def _triangle(matrices: Tensor) -> Tensor:
    """The R (…, D, D) of ``matrices`` (…, C, D) = Q R."""
    import torch

    found: Tensor = torch.linalg.qr(matrices, mode="r").R
    return found


def _normed(matrices: Tensor) -> Tensor:
    import torch

    norm = torch.linalg.matrix_norm(matrices, keepdim=True)
    return torch.where(norm > 0, matrices / norm, 0)


def circuits_table(circuits: Circuits, model: str, *, edges: bool = False) -> Table:
    """What heads do by their weights: a row for each head, or with ``edges`` for each pair of heads that compose."""
    found = composition(circuits)
    numbers, heads = circuits.numbers, len(circuits.layers[0].query)
    about = {"model": model, "baseline": found.baseline, "inexact": list(circuits.inexact)}
    notes = [
        f"Of random matrices the composition is {found.baseline:.3f} (1/√C).",
        f"From weights alone, and so not exact: {'; '.join(circuits.inexact)}.",
    ]
    names = [f"L{layer} H{head}" for layer in numbers for head in range(heads)]
    if edges:
        return _edges(found, names, circuits.numbers, about, notes)
    if circuits.copied is None:
        notes.insert(0, "No scores of copying and induction: the model has no head that predicts tokens.")
    columns, values = head_columns(numbers, heads)
    score, previous = copying(circuits).reshape(-1), circuits.previous.cpu().numpy().reshape(-1)
    values |= {"copying": score, "previous": previous} | _induction(circuits, found, score, previous, names)
    for kind, scores in zip(KINDS, found.scores, strict=True):
        filled = np.nan_to_num(scores, nan=-1.0)
        best = filled.argmax(1)
        most = filled[np.arange(len(best)), best]
        values[f"{kind}_from"] = np.array(
            [names[at] if value > 0 else "" for at, value in zip(best, most, strict=True)], object
        )
        values[f"{kind}_composition"] = np.where(most > 0, most / found.baseline, np.nan)
    columns += tuple(replace(each, shown=each.shown and _has_values(values[each.name])) for each in _HEADS)
    table = Table("heads", "What do heads do by their weights?", columns, values, about=about, notes=tuple(notes))
    return ranked_by(table, "k_composition" if circuits.copied is None else "copying")


def _has_values(values: NDArray[Any]) -> bool:
    return bool((values != "").any() if values.dtype == object else np.isfinite(values).any())


def _induction(
    circuits: Circuits, found: Composition, score: Doubles, previous: Doubles, names: list[str]
) -> dict[str, NDArray[Any]]:
    """For each head how well it could do induction by the keys of an earlier head, the best of the likely ones."""
    heads = len(circuits.layers[0].query)
    best, matched = np.full(len(names), np.nan), np.full(len(names), np.nan)
    source = np.full(len(names), "", object)
    for at in range(heads, len(names)):
        earlier = at // heads * heads
        keys = found.scores[1, at, :earlier]
        likely = np.argsort(-(keys / found.baseline * previous[:earlier]), kind="stable")[:_MANY]
        likely = likely[keys[likely] > 0]
        if not len(likely):
            continue
        layer, head = divmod(at, heads)
        own = circuits.layers[layer]
        asked = circuits.matched @ own.query[head].double().T  # (C, D)
        others = [(circuits.layers[j // heads], j % heads) for j in likely.tolist()]
        import torch

        matching = positivity(
            torch.stack(
                [own.key[head].double() @ o.output[h].double() @ (o.value[h].double() @ asked) for o, h in others]
            )
        )
        each = np.fmin(matching, previous[likely])
        if not np.isfinite(each).any():
            continue
        place = int(np.nanargmax(each))
        matched[at], source[at] = matching[place], names[likely[place]]
        best[at] = min(score[at], each[place]) if np.isfinite(score[at]) else np.nan
    return {"induction": best, "induction_from": source, "matching": matched}


def _edges(
    found: Composition, names: list[str], numbers: Sequence[int], about: dict[str, Any], notes: list[str]
) -> Table:
    """A row for each pair of heads and kind that compose at all, of the layers with these ``numbers``."""
    heads, layers = len(names) // len(numbers), np.array(numbers)
    kinds, ats, sources = np.nonzero(np.nan_to_num(found.scores) > 1e-6)
    scores = found.scores[kinds, ats, sources]
    columns = (Column("layer", "the layer of the head", "count"), Column("head", "the head", "count"), *_EDGES)
    values: dict[str, Any] = {
        "layer": layers[ats // heads], "head": ats % heads, "kind": np.array(KINDS, object)[kinds],
        "from": np.array(names, object)[sources], "composition": scores, "times": scores / found.baseline,
        "from_layer": layers[sources // heads], "from_head": sources % heads,
    }  # fmt: skip
    table = Table("heads", "Which heads compose?", columns, values, about=about, notes=tuple(notes))
    return ranked_by(table, "times")
