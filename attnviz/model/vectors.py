"""What the compiled loops are made of: mathematics of floats in a form that becomes instructions for many at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_one, _half = np.float32(1), np.float32(0.5)
LOWEST = np.float32(-87)  # exp of less is no normal number
_TO_BASE_2 = np.float32(1 / math.log(2))
# ln 2 in two parts, the first of few bits, so that n · ln 2 is exact (Cody & Waite 1980).
_LN_2, _LN_2_REST = np.float32(0.693359375), np.float32(-2.12194440e-4)

_INT, _FLOAT = ir.IntType(32), ir.FloatType()


@intrinsic  # type: ignore[untyped-decorator]
def _truncated(context: Any, x: Any) -> Any:  # noqa: ARG001
    """The float ``x`` as an int of the same width, so that vectors stay vectors (numba's would be of 64 bits)."""
    return types.int32(types.float32), lambda _c, builder, _s, args: builder.fptosi(args[0], _INT)


@intrinsic  # type: ignore[untyped-decorator]
def _power_of_2(context: Any, n: Any) -> Any:  # noqa: ARG001
    """2ⁿ as a float, by its bits."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        exponent = builder.shl(builder.add(args[0], ir.Constant(_INT, 127)), ir.Constant(_INT, 23))
        return builder.bitcast(exponent, _FLOAT)

    return types.float32(types.int32), generate


@intrinsic  # type: ignore[untyped-decorator]
def larger(context: Any, x: Any, y: Any) -> Any:  # noqa: ARG001
    """The larger of two floats, in a form that the compiler turns into one instruction for eight."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args, flags=("fast",)), *args, flags=("fast",))

    return types.float32(types.float32, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def above(context: Any, x: Any, limit: Any, value: Any) -> Any:  # noqa: ARG001
    """``value`` where ``x`` is above ``limit``, else 0; no branch, as a vector has none."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        above = builder.fcmp_ordered(">", *args[:2], flags=("fast",))
        return builder.select(above, args[2], ir.Constant(_FLOAT, 0.0), flags=("fast",))

    return types.float32(types.float32, types.float32, types.float32), generate


@njit(inline="always")  # type: ignore[untyped-decorator]
def exp(x: Any) -> Any:
    """The exponential of −87 ≤ x ≤ 0 to 2 units in the last place: 2ⁿ·exp(r), a polynomial in r between ±½ ln 2."""
    n = _truncated(x * _TO_BASE_2 - _half)
    whole = np.float32(n)
    r = (x - whole * _LN_2) - whole * _LN_2_REST
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    return (p * (r * r) + r + _one) * _power_of_2(n)


@njit(nogil=True, cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def maximum(row: Any) -> Any:
    """The largest of a row of floats."""
    top = np.float32(-3.0e38)
    for j in range(row.shape[0]):
        top = larger(row[j], top)
    return top
