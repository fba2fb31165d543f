"""Weights as few bytes: the square root of each as one byte, and a second byte for the strongest of each row."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from attnviz.record import Array, Pooled, Region, Top

EXACT = 16
"""So many of the strongest weights of each row have a second byte."""
STEPS = (255, 127, 63, 47)
"""In how many steps the roots are told apart: fewer where the page would be too large otherwise."""
MOST = 11_850_000
"""The most bytes of a map, before base64 makes a third more of them."""
_TOGETHER = 1 << 20
"""About so many bytes are deflated as one."""
_END = zlib.compressobj(wbits=-zlib.MAX_WBITS).flush()
"""The block that ends what is deflated."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Packed:
    """Deflated bytes, and how far a weight that is read from them may be from what it was.

    Attributes:
        data: the bytes, deflated without a header.
        steps: in how many steps the roots were told apart.
        error: the largest difference of a weight.
        exact_error: the largest difference of a weight that has a second byte.
        links: how many links each row has, where only the strongest were kept.
    """

    data: bytes
    steps: int
    error: float
    exact_error: float
    links: int = 0

    def base64(self) -> str:
        """The bytes as text that may stand in HTML."""
        return base64.b64encode(self.data).decode()


def pack_weights(weights: Array, *, causal: bool) -> Packed | None:
    """Pack all ``weights`` (L, H, N, M), of a ``causal`` map those that are not behind the query; None: too many.

    First come the roots, row by row, and then the second bytes of the ``EXACT`` largest roots of each row: of equal
    ones the first, in the order of the keys.
    """
    for steps in STEPS:
        if _estimate(weights, steps, causal=causal) > MOST:
            continue
        with ThreadPoolExecutor() as pool:
            parts = [*pool.map(partial(_layer, steps=steps, causal=causal), weights)]
        data = _deflate([part[0] for part in parts] + [part[1] for part in parts])
        if len(data) <= MOST:
            return Packed(data, steps, max(part[2] for part in parts), max(part[3] for part in parts))
    return None


def _estimate(weights: Array, steps: int, *, causal: bool) -> float:
    """About how many bytes the roots would take: by how often each occurs, in a part of the heads."""
    some = weights[:: max(1, len(weights) // 4), :: max(1, weights.shape[1] // 4)].astype(np.float32)
    counts = np.bincount(np.rint(np.sqrt(some.clip(0, 1)) * np.float32(steps)).astype(np.uint8).ravel(), minlength=256)
    if causal:
        counts[0] -= counts.sum() // 2
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum() / 8 * weights.size / (2 if causal else 1))


def _layer(weights: Array, steps: int, *, causal: bool) -> tuple[bytes, bytes, float, float]:
    """The roots and the second bytes of one layer (H, N, M), and the largest error without and with the second."""
    roots = np.sqrt(weights.astype(np.float32).clip(0, 1)) * np.float32(steps)
    first = np.rint(roots).astype(np.uint8)
    n, m = first.shape[1:]
    seen = np.tri(n, m, dtype=bool) if causal else np.ones((n, m), bool)
    # Each weight has a rank of its own: the larger root first, and of equal ones the first key.
    order = (255 - first.astype(np.int32)) * m + np.arange(m, dtype=np.int32)
    order[:, ~seen] = 256 * m
    count = min(EXACT, m)
    largest = np.partition(order, count - 1, axis=-1)[..., count - 1 : count] if count < m else np.full(1, 256 * m)
    strong = (order <= largest) & seen
    second = np.floor((roots - first + 0.5) * 256).clip(0, 255).astype(np.uint8)
    exact = (first - 0.5 + (second + 0.5) / 256) / steps
    known = np.where(strong, exact, first / steps).clip(0, 1) ** 2
    apart = np.abs(known - weights)
    return (
        first[:, seen].tobytes(),
        second[strong].tobytes(),
        float(apart[:, seen].max(initial=0)),
        float(apart[strong].max(initial=0)),
    )


def pack_links(links: Top, maps: Pooled, regions: Sequence[Region], most: int) -> Packed:
    """Pack the strongest ``links`` of each unit (L, H, n, k), the cells of ``maps``, and ``regions`` that are exact.

    They take ``most`` bytes if possible: as many links of each row are kept as fit, one at least. First come the roots
    of the cells, then those of the links, then the second bytes of these, then the numbers of their keys in three
    bytes, the lowest first; then the roots of the regions, one region after another, and the second bytes of these.
    """
    count = links.weights.shape[-1]
    exact = np.concatenate([np.zeros(0, np.float32), *(region.weights.ravel() for region in regions)])
    squares = _in_two_bytes(exact)
    while True:
        weights, keys = links.weights[..., :count], links.keys[..., :count].astype(np.uint32)
        first, second, apart = _in_two_bytes(weights)
        cells = np.rint(np.sqrt(maps.values.astype(np.float32).clip(0, 1)) * 255).astype(np.uint8)
        planes = [(keys >> shift & 255).astype(np.uint8) for shift in (0, 8, 16)]
        data = _deflate([array.tobytes() for array in (cells, first, second, *planes, *squares[:2])])
        if len(data) <= most or count == 1:
            error = float(np.abs((cells / 255.0) ** 2 - maps.values).max(initial=0))
            return Packed(data, 255, error, max(apart, squares[2]), count)
        count = max(1, min(count - 1, count * most // len(data)))


def _in_two_bytes(weights: Array) -> tuple[Bytes, Bytes, float]:
    """The roots of ``weights``, their second bytes, and the largest error of a weight that is read from both."""
    roots = np.sqrt(weights.astype(np.float64).clip(0, 1)) * 255
    first = np.rint(roots).astype(np.uint8)
    second = np.floor((roots - first + 0.5) * 256).clip(0, 255).astype(np.uint8)
    exact = ((first - 0.5 + (second + 0.5) / 256) / 255).clip(0, 1) ** 2
    return first, second, float(np.abs(exact - weights).max(initial=0))


def pack_floats(parts: Sequence[Array]) -> str:
    """Pack numbers one part after the other, in four bytes each."""
    return base64.b64encode(_deflate([part.astype("<f4").tobytes() for part in parts])).decode()


def _deflate(parts: Sequence[bytes]) -> bytes:
    """Deflate ``parts`` one after another, in several threads where they are large."""
    joined: list[list[bytes]] = [[]]
    for part in parts:
        if sum(map(len, joined[-1])) >= _TOGETHER:
            joined.append([])
        joined[-1].append(part)
    with ThreadPoolExecutor() as pool:  # zlib lets other threads run meanwhile
        return b"".join([*pool.map(_smallest, map(b"".join, joined)), _END])


def _smallest(data: bytes) -> bytes:
    """Deflate ``data`` in the way that takes the fewest bytes, up to the end of a byte, so that more may follow.

    Weights are noise: to look for what comes again takes ten times as long, and seldom finds more than zeros in a row.
    """
    ways = (zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, *([zlib.Z_DEFAULT_STRATEGY] if len(data) < _TOGETHER else []))
    packers = [zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, way) for way in ways]
    return min((packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH) for packer in packers), key=len)
