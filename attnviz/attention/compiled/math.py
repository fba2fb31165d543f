"""What the compiled loops are made of: mathematics of floats in a form that becomes instructions for many at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

_one, _half = np.float32(1), np.float32(0.5)
LOWEST = np.float32(-87)  # exp of less is no normal number
_TO_BASE_2 = np.float32(1 / math.log(2))
# ln 2 in two parts, the first of few bits, so that n · ln 2 is exact (Cody & Waite 1980).
_LN_2, _LN_2_REST = np.float32(0.693359375), np.float32(-2.12194440e-4)
_INT = ir.IntType(32)


def _same(generate: Callable[[Any, Any], Any], *kinds: Any) -> Any:
    """A function of floats, or of vectors of them, to the same, as ``generate`` makes it of a builder and these."""
    return kinds[0](*kinds), lambda _context, builder, _signature, args: generate(builder, args)


def _constant(like: Any, value: float) -> Any:
    """A number as a constant of the type that ``like`` has."""
    return ir.Constant(like, [value] * like.count if isinstance(like, ir.VectorType) else value)


def _ints(like: Any) -> Any:
    """The type of ints of the same width, so that vectors stay vectors (numba's ints would be of 64 bits)."""
    return ir.VectorType(_INT, like.count) if isinstance(like, ir.VectorType) else _INT


@intrinsic  # type: ignore[untyped-decorator]
def _truncated(context: Any, x: Any) -> Any:  # noqa: ARG001
    """The whole number next to ``x`` in the direction of 0."""
    return _same(lambda builder, args: builder.sitofp(builder.fptosi(args[0], _ints(args[0].type)), args[0].type), x)


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_2(context: Any, n: Any) -> Any:  # noqa: ARG001
    """2ⁿ of a whole number, by its bits."""

    def generate(builder: Any, args: Any) -> Any:
        kind = _ints(args[0].type)
        exponent = builder.add(builder.fptosi(args[0], kind), _constant(kind, 127))
        return builder.bitcast(builder.shl(exponent, _constant(kind, 23)), args[0].type)

    return _same(generate, n)


@intrinsic  # type: ignore[untyped-decorator]
def larger(context: Any, x: Any, y: Any) -> Any:  # noqa: ARG001
    """The larger of two floats, in a form that the compiler turns into one instruction for eight."""

    def generate(builder: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args, flags=("fast",)), *args, flags=("fast",))

    return _same(generate, x, y)


@intrinsic  # type: ignore[untyped-decorator]
def above(context: Any, x: Any, limit: Any, value: Any) -> Any:  # noqa: ARG001
    """``value`` where ``x`` is above ``limit``, else 0; no branch, as a vector has none."""

    def generate(builder: Any, args: Any) -> Any:
        higher = builder.fcmp_ordered(">", *args[:2], flags=("fast",))
        return builder.select(higher, args[2], _constant(args[2].type, 0.0), flags=("fast",))

    return _same(generate, x, limit, value)


@njit(inline="always")  # type: ignore[untyped-decorator]
def exp(x: Any) -> Any:
    """The exponential of −87 ≤ x ≤ 0 to 2 units in the last place: 2ⁿ·exp(r), a polynomial in r between ±½ ln 2."""
    whole = _truncated(x * _TO_BASE_2 - _half)
    r = (x - whole * _LN_2) - whole * _LN_2_REST
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    return (p * (r * r) + r + _one) * _power_of_2(whole)


@njit(nogil=True, cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def maximum(row: Any) -> Any:
    """The largest of a row of floats."""
    top = np.float32(-3.0e38)
    for j in range(row.shape[0]):
        top = larger(row[j], top)
    return top
