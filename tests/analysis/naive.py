"""The figures and links of a document, straight from all of its weights: what the fast ways are held to."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from attnviz.analysis.corpus.metrics import NAMES, Measured, WordLinks
from attnviz.analysis.text.links import counting
from attnviz.analysis.text.offsets import MIN_QUERIES, POSITIONAL
from attnviz.analysis.text.units import read_in
from attnviz.encoding import Encoding, is_punctuation
from attnviz.record import Request
from tests.documents import Array, Read

Weights = NDArray[np.floating]


def measured(
    weights: Weights, encoding: Encoding, asked: Request, *, causal: bool, seen: NDArray[np.bool_]
) -> Measured:
    """By ``weights`` (L, H, N, N) of a document; ``seen`` (N, N) says which keys a query may see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of nothing are NaN here
        found = [[figures_of(head, encoding, seen, causal=causal) for head in layer] for layer in np.float64(weights)]
    figures = np.array([[[head[name] for name in NAMES] for head in layer] for layer in found])
    return Measured(figures, _links(np.float64(weights), encoding, asked, figures, causal=causal))


def figures_of(a: Weights, encoding: Encoding, seen: NDArray[np.bool_], *, causal: bool) -> dict[str, float]:
    """Every figure of a head by its name, from its weights (N, N), NaN where there is none."""
    n = len(a)
    places = np.arange(n)
    apart = places[:, None] - places[None, :]
    special = np.array(encoding.special)
    text = np.flatnonzero(~special)
    lead = np.arange(n) < (text[0] if len(text) else n)
    tail = special & (places > text[-1]) if len(text) else np.zeros(n, bool)
    punctuation = np.zeros(n, bool)
    for word in encoding.words:
        punctuation[word.start : word.stop] = is_punctuation(word.text)
    punctuation |= [not token.replace("▁", " ").strip() for token in encoding.tokens]
    punctuation &= ~special
    entropy = -(a * np.log(a, where=a > 0, out=np.zeros_like(a))).sum(1)
    many = seen.sum(1)
    same = (np.array(encoding.ids)[:, None] == np.array(encoding.ids)[None, :]) & (apart > 0)
    received = a.sum(0)
    after = n - places if causal else np.full(n, n)
    asked = places[after * 2 >= n]
    takes = received[asked] / after[asked]
    offsets, counts = np.unique(a[text].argmax(1) - text, return_counts=True)
    share = lambda keys: a[:, keys].sum(1).mean() if keys.any() else np.nan  # noqa: E731
    return {
        "entropy": entropy.mean(),
        "normalised_entropy": np.where(many > 1, entropy / np.log(np.maximum(many, 2)), 0).mean(),
        "distance": (a * abs(apart)).sum(1).mean(),
        "signed_distance": (a * apart).sum(1).mean(),
        "self": np.diag(a).mean(),
        "previous": np.diag(a, -1).mean() if n > 1 else np.nan,
        "next": np.diag(a, 1).mean() if n > 1 else np.nan,
        "first": a[:, 0].mean(),
        "cls": share(lead),
        "sep": share(tail),
        "special": share(special),
        "punctuation": share(punctuation),
        "sink": takes.max(),
        "sink_position": asked[takes.argmax()],
        "largest": a.max(1).mean(),
        "confidence": a[~tail][:, ~tail].max(1).mean(),
        "received": received.max(),
        "received_position": received.argmax(),
        "duplicate": (a * same).sum(1)[same.any(1)].mean() if same.any() else np.nan,
        "offset": offsets[counts.argmax()] if len(text) else np.nan,
        "offset_share": counts.max() / len(text) if len(text) else np.nan,
    }


def _links(a: Weights, encoding: Encoding, asked: Request, figures: Weights, *, causal: bool) -> WordLinks:
    """As ``summarise`` finds them, layer by layer: positional heads, and at their offset dominant ones, left out."""
    units = read_in("word", encoding, None, tuple(range(len(a))), asked.language)
    queries, keys, itself = counting(units, causal=causal, special=asked.special, everything=asked.everything)
    words = encoding.words
    text = int((~np.array(encoding.special)).sum())
    found: list[tuple[int, int, int, int, float]] = []
    for layer, heads in enumerate(a):
        best: dict[tuple[int, int], tuple[float, int]] = {}
        for head, weights in enumerate(heads):
            offset, share = (figures[layer, head, NAMES.index(name)] for name in ("offset", "offset_share"))
            if not asked.everything and text >= MIN_QUERIES and share >= POSITIONAL:
                continue
            dominant = (
                not asked.everything and text >= MIN_QUERIES and (0.5 if text >= 100 else 0.6) <= share < POSITIONAL
            )
            for q, k in np.argwhere(np.outer(queries, keys)):
                if q == k and not itself:
                    continue
                at = words[q].start + offset if offset <= 0 else words[q].stop - 1 + offset
                if dominant and words[k].start <= at < words[k].stop:
                    continue
                weight = weights[words[q].start : words[q].stop, words[k].start : words[k].stop].sum(1).mean()
                if weight > best.get((q, k), (0.0, 0))[0]:
                    best[q, k] = weight, head
        order = sorted(best, key=lambda pair: (-best[pair][0], pair))[: asked.links]
        found += [(layer, best[pair][1], *pair, best[pair][0]) for pair in order]
    columns = [np.array(column) for column in zip(*found, strict=True)] if found else [np.array([])] * 5
    return WordLinks(
        *(column.astype(kind) for column, kind in zip(columns, ("i2", "i2", "i4", "i4", "f4"), strict=True))
    )


def figures_in_windows(read: Read, *, causal: bool, behind: int | None = None) -> dict[str, Array]:
    """Every figure of a document from the full weights of its windows, row by row, (L, H) each.

    ``behind`` is how many keys before it a query sees, where a layer has a window.
    """
    document, n = read.document, len(read.document)
    special = np.array(document.special)
    text = np.flatnonzero(~special)
    punctuation = np.zeros(n, bool)
    for word in document.words:
        punctuation[word.start : word.stop] = is_punctuation(word.text)
    punctuation |= [not token.replace("▁", " ").strip() for token in document.tokens]
    sets = {
        "cls": np.arange(n) < text[0],
        "sep": np.arange(n) > text[-1],
        "special": special,
        "punctuation": punctuation & ~special,
    }
    rows: dict[str, list[Array]] = {name: [] for name in (*NAMES, "largest")}
    offsets, received = [], np.zeros((*read.each[0].shape[:2], n))
    sinks, sink_places, kept = [], [], []
    for window, weights in zip(read.windows, read.each, strict=True):
        places, ids = window.positions, np.array(window.encoding.ids)
        queries = [row for row, place in enumerate(places) if window.first <= place < window.last]
        inner = ~sets["sep"][places]
        for row in queries:
            a = weights[:, :, row]  # (L, H, T)
            apart = row - np.arange(len(places))
            seen = (apart >= 0) if causal else np.ones(len(places), bool)
            seen &= behind is None or apart <= behind
            entropy = -(a * np.log(a, where=a > 0, out=np.zeros_like(a))).sum(-1)
            rows["entropy"].append(entropy)
            rows["normalised_entropy"].append(entropy / np.log(seen.sum()) if seen.sum() > 1 else 0 * entropy)
            rows["distance"].append((a * abs(apart)).sum(-1))
            rows["signed_distance"].append((a * apart).sum(-1))
            rows["self"].append(a[..., row])
            if row:
                rows["previous"].append(a[..., row - 1])
            if row + 1 < len(places):
                rows["next"].append(a[..., row + 1])
            rows["first"].append(a[..., 0])
            for name, keys in sets.items():
                if keys.any():
                    rows[name].append(a[..., keys[places]].sum(-1))
            rows["largest"].append(a.max(-1))
            if inner[row]:
                rows["confidence"].append(a[..., inner].max(-1))
            same = (ids == ids[row]) & (apart > 0)
            if same.any():
                rows["duplicate"].append(a[..., same].sum(-1))
            if not special[places[row]]:
                offsets.append(a.argmax(-1) - row)
            for key, place in enumerate(places):
                received[..., place] += a[..., key]
        query_mask = np.array([sum(not causal or row >= key for row in queries) for key in range(len(places))])
        common = np.flatnonzero(query_mask * 2 >= len(queries))
        taken = weights[:, :, queries].sum(2)[..., common] / query_mask[common]
        sinks.append(taken.max(-1))
        sink_places.append(places[common][taken.argmax(-1)])
        kept.append(len(queries))
    found = {name: np.mean(row, axis=0) for name, row in rows.items() if row}
    found |= {"received": received.max(-1), "received_position": received.argmax(-1)}
    found["sink"] = np.average(sinks, axis=0, weights=kept)
    for name in ("sink_position", "offset", "offset_share"):
        found[name] = np.zeros(received.shape[:2])
    for head in np.ndindex(*received.shape[:2]):
        votes = np.bincount([places[head] for places in sink_places], kept)
        values, counts = np.unique([each[head] for each in offsets], return_counts=True)
        found["sink_position"][head] = votes.argmax()
        found["offset"][head], found["offset_share"][head] = values[counts.argmax()], counts.max() / len(offsets)
    return {name: found.get(name, np.full(received.shape[:2], np.nan)) for name in rows}
