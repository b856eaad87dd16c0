"""Eight float32 at once, as a type that Numba's kernels can compute with.

LLVM vectorises plain loops only where it can prove that nothing overlaps; `Lanes` say outright what is meant. They are
LLVM's own vectors, so every machine runs them: AVX in one instruction, NEON in two. All arithmetic is IEEE's, lane by
lane and unfused, and `total` adds in a fixed order: the same bits on every machine. Indices are not checked.

Numba's cache does not see that this file has changed: delete the __pycache__ of the kernels then.
"""

# Numba gives these functions their types.
# mypy: ignore-errors
from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8

_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
_ALIGNMENT = 4


class LanesType(types.Type):
    def __init__(self):
        super().__init__("Lanes")


class MaskType(types.Type):
    def __init__(self):
        super().__init__("Mask")


lanes_type, mask_type = LanesType(), MaskType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, type_):
        super().__init__(manager, type_, _FLOATS)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, type_):
        super().__init__(manager, type_, _BITS)


def _repeat(builder, value):
    """A vector of eight times this value; a vector as it is."""
    if value.type == _FLOATS:
        return value
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _define(symbol, build, result):
    """An operator of Lanes with Lanes or a float32, by the function that writes its instruction."""

    @infer_global(symbol)
    class Template(ConcreteTemplate):
        cases = [  # noqa: RUF012
            signature(result, lanes_type, lanes_type),
            signature(result, lanes_type, types.float32),
            signature(result, types.float32, lanes_type),
        ]

    def lower(context, builder, signature, values):
        return build(builder, *(_repeat(builder, value) for value in values))

    for case in Template.cases:
        lower_builtin(symbol, *case.args)(lower)


_define(operator.add, ir.IRBuilder.fadd, lanes_type)
_define(operator.sub, ir.IRBuilder.fsub, lanes_type)
_define(operator.mul, ir.IRBuilder.fmul, lanes_type)
_define(operator.truediv, ir.IRBuilder.fdiv, lanes_type)
for _symbol in ("<", "<=", ">"):
    _define(
        {"<": operator.lt, "<=": operator.le, ">": operator.gt}[_symbol],
        lambda builder, a, b, symbol=_symbol: builder.fcmp_ordered(symbol, a, b),
        mask_type,
    )


@infer_global(operator.and_)
class _And(ConcreteTemplate):
    cases = [signature(mask_type, mask_type, mask_type)]  # noqa: RUF012


@lower_builtin(operator.and_, mask_type, mask_type)
def _and(context, builder, signature, values):
    return builder.and_(*values)


def _require_contiguous(array):
    if not isinstance(array, types.Array) or array.layout != "C" or array.dtype != types.float32:
        raise TypingError(f"expected a contiguous array of float32, found {array}")


def _address(context, builder, array_type, array, index):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index], inbounds=True), _FLOATS.as_pointer())


@intrinsic
def load(typing_context, array, index):
    """Eight neighbours of a contiguous float32 array, from any index of it flattened."""
    _require_contiguous(array)

    def generate(context, builder, signature, values):
        return builder.load(_address(context, builder, signature.args[0], *values), align=_ALIGNMENT)

    return lanes_type(array, types.int64), generate


@intrinsic
def store(typing_context, array, index, value):
    """Write eight neighbours of a contiguous float32 array, from any index of it flattened."""
    _require_contiguous(array)

    def generate(context, builder, signature, values):
        array, index, value = values
        builder.store(value, _address(context, builder, signature.args[0], array, index), align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(array, types.int64, lanes_type), generate


@intrinsic
def lanes(typing_context, value):
    """The same float32 in all lanes."""

    def generate(context, builder, signature, values):
        return _repeat(builder, values[0])

    return lanes_type(types.float32), generate


@intrinsic
def numbers(typing_context):
    """0, 1, ..., 7."""

    def generate(context, builder, signature, values):
        return ir.Constant(_FLOATS, [float(lane) for lane in range(LANES)])

    return lanes_type(), generate


@intrinsic
def select(typing_context, mask, here, elsewhere):
    """`here` in the lanes of the mask, else `elsewhere`."""

    def generate(context, builder, signature, values):
        mask, here, elsewhere = values
        return builder.select(mask, here, elsewhere)

    return lanes_type(mask_type, lanes_type, lanes_type), generate


@intrinsic
def any_of(typing_context, mask):
    """Whether the mask holds in any lane."""

    def generate(context, builder, signature, values):
        bits = builder.bitcast(values[0], ir.IntType(LANES))
        return cgutils.is_not_null(builder, bits)

    return types.boolean(mask_type), generate


@intrinsic
def total(typing_context, value):
    """The sum of all lanes, halves first."""

    def generate(context, builder, signature, values):
        (value,) = values
        size = LANES
        while size > 1:
            size //= 2
            index = ir.VectorType(ir.IntType(32), size)
            low = builder.shuffle_vector(value, value, ir.Constant(index, list(range(size))))
            high = builder.shuffle_vector(value, value, ir.Constant(index, list(range(size, 2 * size))))
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.IntType(32)(0))

    return types.float32(lanes_type), generate


@intrinsic
def nothing(typing_context, like):
    """A tuple of Lanes of zeros, to set and add to: as many as the tuple `like` has items."""
    if not isinstance(like, types.BaseTuple):
        raise TypingError(f"expected a tuple, found {like}")
    count = len(like)

    def generate(context, builder, signature, values):
        return ir.Constant(ir.ArrayType(_FLOATS, count), None)

    return types.UniTuple(lanes_type, count)(like), generate


def _rounded(name):
    """An intrinsic that rounds each lane to a whole number."""

    def typed(typing_context, value):
        def generate(context, builder, signature, values):
            function_type = ir.FunctionType(_FLOATS, [_FLOATS])
            function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v{LANES}f32")
            return builder.call(function, values)

        return lanes_type(lanes_type), generate

    typed.__name__ = name
    return intrinsic(typed)


floor, ceil = _rounded("floor"), _rounded("ceil")


def _extreme(comparison, name):
    """An intrinsic that takes the lanes of `a` where they compare so with those of `b`."""

    def typed(typing_context, a, b):
        def generate(context, builder, signature, values):
            return builder.select(builder.fcmp_ordered(comparison, *values), *values)

        return lanes_type(lanes_type, lanes_type), generate

    typed.__name__ = name
    return intrinsic(typed)


# The greater and the less of each two; of the second argument where either is NaN.
maximum, minimum = _extreme(">", "maximum"), _extreme("<", "minimum")
