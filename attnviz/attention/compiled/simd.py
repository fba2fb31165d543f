"""Vectors of sixteen floats for the compiled loops: one value in numba, one or a few registers in the machine.

What a compiler makes of a loop over a row is fast where rows are long; of twenty weights it takes most one by one.
numba's cache does not see that this file has changed: each file that uses it has a line with a digest of its imports.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import PrimitiveModel
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, register_model

from attnviz.attention.block_sizes import LANES

_FLOAT, _INT, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)


class Floats(types.Type):  # type: ignore[misc]
    """The type of a vector."""

    def __init__(self) -> None:
        super().__init__(name=f"float32 x {LANES}")


floats = Floats()


@register_model(Floats)
class _Model(PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)


def _splat(builder: Any, value: Any) -> Any:
    """A vector of one number, which may be a vector already."""
    if isinstance(value.type, ir.VectorType):
        return value
    kind = ir.VectorType(value.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(_INTS, [0] * LANES))


def _call(builder: Any, name: str, kind: Any, arguments: Any, flags: tuple[str, ...] = ()) -> Any:
    """A call of one of LLVM's own functions."""
    known = builder.module.globals.get(name)
    declared = known or ir.Function(builder.module, ir.FunctionType(kind, [each.type for each in arguments]), name)
    return builder.call(declared, arguments, fastmath=flags)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Where the element ``at`` of an array's memory begins, as that of a vector."""
    first = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(first, [at]), _FLOATS.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def splat(context: Any, x: Any) -> Any:  # noqa: ARG001
    """A vector of sixteen times ``x``."""
    return floats(types.float32), lambda _c, builder, _s, args: _splat(builder, args[0])


@intrinsic  # type: ignore[untyped-decorator]
def load(context: Any, array: Any, at: Any) -> Any:  # noqa: ARG001
    """The vector from the element ``at`` of an array's memory on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], *args), align=4)

    return floats(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(context: Any, array: Any, at: Any, x: Any) -> Any:  # noqa: ARG001
    """Put a vector from the element ``at`` of an array's memory on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature.args[0], *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, floats), generate


@intrinsic  # type: ignore[untyped-decorator]
def between(context: Any, x: Any, low: Any, high: Any, other: Any) -> Any:  # noqa: ARG001
    """The lanes of ``x`` from ``low`` to ``high`` (exclusive), and the ``other`` number in the rest."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        lanes = ir.Constant(_INTS, list(range(LANES)))
        low, high = (_splat(builder, builder.trunc(each, _INT)) for each in args[1:3])
        inside = builder.and_(builder.icmp_signed("<=", low, lanes), builder.icmp_signed("<", lanes, high))
        return builder.select(inside, args[0], _splat(builder, args[3]))

    return floats(floats, types.intp, types.intp, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def total(context: Any, x: Any) -> Any:  # noqa: ARG001
    """The sum of a vector."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        arguments = [ir.Constant(_FLOAT, 0.0), args[0]]
        return _call(builder, f"llvm.vector.reduce.fadd.v{LANES}f32", _FLOAT, arguments, ("reassoc",))

    return types.float32(floats), generate


@intrinsic  # type: ignore[untyped-decorator]
def largest(context: Any, x: Any) -> Any:  # noqa: ARG001
    """The largest of a vector."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _call(builder, f"llvm.vector.reduce.fmax.v{LANES}f32", _FLOAT, args, ("nnan",))

    return types.float32(floats), generate


@intrinsic  # type: ignore[untyped-decorator]
def at_least(context: Any, x: Any, least: Any) -> Any:  # noqa: ARG001
    """The number of the first lane that is ``least`` or more; far more than any where there is none."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        reached = builder.bitcast(builder.fcmp_ordered(">=", args[0], _splat(builder, args[1])), ir.IntType(LANES))
        lane = builder.zext(builder.cttz(reached, ir.Constant(ir.IntType(1), 0)), _LONG)
        none = builder.icmp_unsigned("==", reached, ir.Constant(ir.IntType(LANES), 0))
        return builder.select(none, ir.Constant(_LONG, 1 << 60), lane)

    return types.intp(floats, types.float32), generate


def _arithmetic(operation: Callable[[Any, Any], Any], build: str) -> None:
    """Let ``operation`` work on vectors, and on a vector and a number."""

    # An ``overload`` would be shorter, but is a function to compile for each pair of types.
    @infer_global(operation)
    class _Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, _keywords: Any) -> Any:
            return floats(*(floats if each == floats else types.float32 for each in args)) if floats in args else None

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return getattr(builder, build)(*(_splat(builder, each) for each in args), flags=("contract",))

    for kinds in ((floats, floats), (floats, types.float32), (types.float32, floats)):
        lower_builtin(operation, *kinds)(generate)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
