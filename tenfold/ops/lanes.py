"""Vectors of a fixed number of lanes inside numba loops: `h * e` on W floats at once, held in registers.

numba leaves it to the compiler to find that a loop over W numbers is a few wide instructions; where arrays may overlap
it does not, and each row taken from an array costs two locked instructions. Here a vector is a value. `load(x, (i, j),
W)` is the row x[i, j] of W numbers, `store(x, (i, j), v)` writes it; + - * take two vectors, or a vector and on its
right a number; the functions below do the rest. W is a constant of the loop (an int of its closure or module), of any
size; powers of two are fast.
"""

import hashlib
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model


class Lanes(types.Type):
    """The type of a vector: `dtype` is float32 or float64."""

    def __init__(self, dtype: types.Float, count: int) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(name=f"Lanes({dtype}, {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Lanes) -> None:
        number = dmm.lookup(fe_type.dtype).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(number, fe_type.count))


typed = cast(Callable[..., Any], intrinsic)  # numba has no annotations


def stamp(*files: str) -> str:
    """Of what these files hold. numba keeps a compiled loop until the loop's own file changes: the name of one that is
    made of other files' functions must tell of them."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:12]


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Any) -> Any:
    """Of the row `array[index]`, of whose numbers the first is aligned as a number is."""
    struct = context.make_array(array_type)(context, builder, array)
    places = [*cgutils.unpack_tuple(builder, index), context.get_constant(types.intp, 0)]
    first = cgutils.get_item_pointer(context, builder, array_type, struct, places, wraparound=False)
    return builder.bitcast(first, vector.as_pointer())


def vector_at(builder: Any, numbers: Any, place: Any, vector: Any) -> Any:
    """A pointer to the vector that begins with the number `place` of those that `numbers` points to."""
    return builder.bitcast(builder.gep(numbers, [place]), vector.as_pointer())


def splat(builder: Any, value: Any, vector: Any) -> Any:
    """The vector with the number `value` in all lanes."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


def _zeros(vector: Any) -> Any:
    return ir.Constant(vector, [0.0] * vector.count)


@typed(prefer_literal=True)
def load(typing_context, array, index, count):  # type: ignore[no-untyped-def]
    """array[index], whose numbers lie side by side; `index` is a tuple of all axes but the last, none negative."""
    if not isinstance(count, types.IntegerLiteral) or array.layout != "C":
        return None
    found = Lanes(array.dtype, count.literal_value)

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = context.get_value_type(signature.return_type)
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], vector)
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return found(array, _intp(index), count), code


@typed
def store(typing_context, array, index, values):  # type: ignore[no-untyped-def]
    """array[index] = values; as `load`."""
    if array.layout != "C":
        return None

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = context.get_value_type(signature.args[2])
        pointer = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], vector)
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, _intp(index), values), code


def _intp(index: Any) -> Any:
    return types.UniTuple(types.intp, len(index))


@typed
def total(typing_context, values):  # type: ignore[no-untyped-def]
    """The sum of all lanes, in whatever order is fastest."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = context.get_value_type(signature.args[0])
        number = vector.element
        name = f"llvm.vector.reduce.fadd.v{vector.count}f{values.dtype.bitwidth}"
        reduce = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [number, vector]), name)
        return builder.call(reduce, [ir.Constant(number, -0.0), arguments[0]], fastmath=("reassoc",))

    return values.dtype(values), code


@typed
def one_hot(typing_context, place, like):  # type: ignore[no-untyped-def]
    """1 in the lane `place`, 0 in all others."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = context.get_value_type(like)
        whole = ir.VectorType(ir.IntType(32), vector.count)
        wanted = splat(builder, context.cast(builder, arguments[0], place, types.int32), whole)
        is_it = builder.icmp_signed("==", wanted, ir.Constant(whole, list(range(vector.count))))
        return builder.uitofp(is_it, vector)

    return like(place, like), code


@typed
def zeros(typing_context, like):  # type: ignore[no-untyped-def]
    """0 in as many lanes."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return _zeros(context.get_value_type(like))

    return like(like), code


@typed
def above(typing_context, values, least):  # type: ignore[no-untyped-def]
    """The vector with 0 in place of what is not above the number `least`; NaN stays."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        vector = context.get_value_type(values)
        bound = splat(builder, context.cast(builder, arguments[1], least, values.dtype), vector)
        return builder.select(builder.fcmp_unordered(">", arguments[0], bound), arguments[0], _zeros(vector))

    return values(values, least), code


def _operation(symbol: Any, instruction: str) -> None:
    @typed
    def apply(typing_context, left, right):  # type: ignore[no-untyped-def]
        def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            first, second = arguments
            if not isinstance(right, Lanes):
                number = context.cast(builder, second, right, left.dtype)
                second = splat(builder, number, context.get_value_type(left))
            return getattr(builder, instruction)(first, second)

        return left(left, right), code

    @overload(symbol, inline="always")
    def overloaded(left, right):  # type: ignore[no-untyped-def]
        if not isinstance(left, Lanes) or not (right == left or isinstance(right, types.Number)):
            return None
        return lambda left, right: apply(left, right)


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _operation(_symbol, _instruction)
