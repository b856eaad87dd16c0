"""SIMD vectors of sixteen float32, as a type that Numba's kernels can compute with; each of the sixteen is a *lane*.

LLVM vectorises plain loops only where it can prove that nothing overlaps; vectors say outright what is meant. They are
LLVM's own, so every machine runs them: AVX-512 in one instruction, AVX in two, NEON in four. All arithmetic is IEEE's,
lane by lane and unfused but for `multiply_add`, and sums have a fixed order: the same bits on every machine, but for
numbers below 2^-126 after `flush_denormals`. Indices are not checked.

Of an image, 16 lanes are either neighbours in a row or a *cell*, a square of 4x4 pixels, row by row.
"""

# Numba gives these functions their types.
# mypy: ignore-errors
from __future__ import annotations

import math
import operator
import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

SIMD_WIDTH = 16
CELL = 4  # pixels to a side
GROUP = 8  # values that `add_totals`, `copy_group` and `transpose` take together

_FLOATS = ir.VectorType(ir.FloatType(), SIMD_WIDTH)
_BITS = ir.VectorType(ir.IntType(1), SIMD_WIDTH)
_ALIGNMENT = 4


class VectorType(types.Type):
    def __init__(self):
        super().__init__("Vector")


class MaskType(types.Type):
    def __init__(self):
        super().__init__("Mask")


vector_type, mask_type = VectorType(), MaskType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, type_):
        super().__init__(manager, type_, _FLOATS)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, type_):
        super().__init__(manager, type_, _BITS)


def _repeat(builder, value):
    """A vector of this value in all lanes; a vector as it is."""
    if value.type == _FLOATS:
        return value
    one = builder.insert_element(ir.Constant(_FLOATS, ir.Undefined), value, ir.IntType(32)(0))
    return _shuffle(builder, one, one, [0] * SIMD_WIDTH)


def _define(symbol, build, result):
    """An operator of vectors with vectors or a float32, by the function that writes its instruction."""

    @infer_global(symbol)
    class Template(ConcreteTemplate):
        cases = [  # noqa: RUF012
            signature(result, vector_type, vector_type),
            signature(result, vector_type, types.float32),
            signature(result, types.float32, vector_type),
        ]

    def lower(context, builder, signature, values):
        return build(builder, *(_repeat(builder, value) for value in values))

    for case in Template.cases:
        lower_builtin(symbol, *case.args)(lower)


_define(operator.add, ir.IRBuilder.fadd, vector_type)
_define(operator.sub, ir.IRBuilder.fsub, vector_type)
_define(operator.mul, ir.IRBuilder.fmul, vector_type)
_define(operator.truediv, ir.IRBuilder.fdiv, vector_type)
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


def _address(context, builder, array_type, array, index, length=SIMD_WIDTH):
    """Where so many neighbours begin in an array."""
    data = context.make_array(array_type)(context, builder, array).data
    pointer = ir.VectorType(ir.FloatType(), length).as_pointer()
    return builder.bitcast(builder.gep(data, [index], inbounds=True), pointer)


def _addresses(context, builder, array_type, array, index, line, count, length=SIMD_WIDTH):
    """Where rows of so many neighbours begin, of which each lies `line` numbers after the last."""
    for _ in range(count):
        yield _address(context, builder, array_type, array, index, length)
        index = builder.add(index, line)


def _load(builder, address):
    return builder.load(address, align=_ALIGNMENT)


def _store(builder, value, address):
    builder.store(value, address, align=_ALIGNMENT)


def _call(builder, name, values):
    """LLVM's function of this name, lane by lane."""
    function_type = ir.FunctionType(_FLOATS, [_FLOATS] * len(values))
    function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v{SIMD_WIDTH}f32")
    return builder.call(function, values)


def _shuffle(builder, a, b, lanes):
    """The lanes with these numbers, where those of `b` follow those of `a`."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes)))


def _transposed(builder, rows):
    """The numbers of so many rows of sixteen, a power of two, column by column: as many rows again."""
    low = [lane // 2 + SIMD_WIDTH * (lane % 2) for lane in range(SIMD_WIDTH)]
    high = [SIMD_WIDTH // 2 + lane for lane in low]
    half = len(rows) // 2
    # Shuffling each with the row half of all rows further on, as often as halves can be taken.
    for _ in range(half.bit_length()):
        pairs = list(zip(rows[:half], rows[half:], strict=True))
        rows = [_shuffle(builder, *pair, lanes) for pair in pairs for lanes in (low, high)]
    return rows


@intrinsic
def load(typing_context, array, index):
    """Sixteen neighbours of a contiguous float32 array, from any index of it flattened."""
    _require_contiguous(array)

    def generate(context, builder, signature, values):
        return _load(builder, _address(context, builder, signature.args[0], *values))

    return vector_type(array, types.int64), generate


@intrinsic
def store(typing_context, array, index, value):
    """Write sixteen neighbours of a contiguous float32 array, from any index of it flattened."""
    _require_contiguous(array)

    def generate(context, builder, signature, values):
        array, index, value = values
        _store(builder, value, _address(context, builder, signature.args[0], array, index))
        return context.get_dummy_value()

    return types.void(array, types.int64, vector_type), generate


@intrinsic
def prefetch(typing_context, array, index):
    """Ask for what lies at an index of a contiguous float32 array, flattened; it may lie beyond the end."""
    _require_contiguous(array)

    def generate(context, builder, signature, values):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        array, index = values
        data = context.make_array(signature.args[0])(context, builder, array).data
        # Not `_address`, whose places are promised to lie within the array.
        address = builder.bitcast(builder.gep(data, [index]), byte)
        function_type = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0i8")
        # To read, into the nearest cache, data.
        builder.call(function, [address, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def load_cell(typing_context, array, index, line):
    """A cell of an image in a contiguous float32 array, given its first pixel and how far its rows lie apart."""
    _require_contiguous(array)

    def generate(context, builder, signature, values):
        addresses = _addresses(context, builder, signature.args[0], *values, CELL, CELL)
        rows = [_load(builder, address) for address in addresses]
        pairs = [_shuffle(builder, rows[n], rows[n + 1], range(2 * CELL)) for n in (0, 2)]
        return _shuffle(builder, *pairs, range(SIMD_WIDTH))

    return vector_type(array, types.int64, types.int64), generate


@intrinsic
def store_cells(typing_context, array, index, line, cells, first, distance):
    """Write four cells that lie side by side in an image, as `load_cell` reads one.

    cells: a contiguous float32 array that holds the first of them from `first` on, the next `distance` numbers further.
    """
    _require_contiguous(array)
    _require_contiguous(cells)

    def generate(context, builder, signature, values):
        array, index, line, cells, first, distance = values
        sources = _addresses(context, builder, signature.args[3], cells, first, distance, CELL)
        four = [_load(builder, source) for source in sources]
        targets = _addresses(context, builder, signature.args[0], array, index, line, CELL)
        for row, target in enumerate(targets):
            part = list(range(row * CELL, (row + 1) * CELL))
            both = part + [SIMD_WIDTH + lane for lane in part]
            halves = [_shuffle(builder, *four[n : n + 2], both) for n in (0, 2)]
            _store(builder, _shuffle(builder, *halves, range(SIMD_WIDTH)), target)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(array, whole, whole, cells, whole, whole), generate


@intrinsic
def copy_group(typing_context, source, index, target, to):
    """Copy `GROUP` numbers from an index of a contiguous float32 array to one of another."""
    _require_contiguous(source)
    _require_contiguous(target)

    def generate(context, builder, signature, values):
        source, target = (_address(context, builder, signature.args[n], *values[n : n + 2], GROUP) for n in (0, 2))
        _store(builder, _load(builder, source), target)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), generate


@intrinsic
def transpose(typing_context, source, index, line, target, to, length):
    """Write `GROUP` rows of sixteen numbers as sixteen rows of `GROUP`, between contiguous float32 arrays.

    index, line: where the first row begins, and how far the rows lie apart; to, length: the same of those written.
    """
    _require_contiguous(source)
    _require_contiguous(target)

    def generate(context, builder, signature, values):
        source, index, line, target, to, length = values
        sources = _addresses(context, builder, signature.args[0], source, index, line, GROUP)
        rows = [_load(builder, address) for address in sources]
        groups = [group for row in _transposed(builder, rows) for group in _halves(builder, row)]
        targets = _addresses(context, builder, signature.args[3], target, to, length, SIMD_WIDTH, GROUP)
        for group, address in zip(groups, targets, strict=True):
            _store(builder, group, address)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, whole, target, whole, whole), generate


@intrinsic
def broadcast(typing_context, value):
    """The same float32 in all lanes."""

    def generate(context, builder, signature, values):
        return _repeat(builder, values[0])

    return vector_type(types.float32), generate


def _constant(name, description, number):
    """An intrinsic for lanes that have their own number each."""

    def typed(typing_context):
        def generate(context, builder, signature, values):
            return ir.Constant(_FLOATS, [float(number(lane)) for lane in range(SIMD_WIDTH)])

        return vector_type(), generate

    typed.__name__, typed.__doc__ = name, description
    return intrinsic(typed)


numbers = _constant("numbers", "0, 1, ..., 15.", lambda lane: lane)
across = _constant("across", "Each lane's column in a cell.", lambda lane: lane % CELL)
down = _constant("down", "Each lane's row in a cell.", lambda lane: lane // CELL)


@intrinsic
def select(typing_context, mask, here, elsewhere):
    """`here` in the lanes of the mask, else `elsewhere`."""

    def generate(context, builder, signature, values):
        mask, here, elsewhere = values
        return builder.select(mask, here, elsewhere)

    return vector_type(mask_type, vector_type, vector_type), generate


@intrinsic
def is_nonzero(typing_context, value):
    """Where it is neither 0 nor NaN."""

    def generate(context, builder, signature, values):
        return builder.fcmp_ordered("!=", values[0], ir.Constant(_FLOATS, None))

    return mask_type(vector_type), generate


@intrinsic
def all_zero(typing_context, value):
    """Whether all lanes are 0, none of them NaN."""

    def generate(context, builder, signature, values):
        other = builder.fcmp_unordered("!=", values[0], ir.Constant(_FLOATS, None))
        return cgutils.is_null(builder, builder.bitcast(other, ir.IntType(SIMD_WIDTH)))

    return types.boolean(vector_type), generate


@intrinsic
def copysign(typing_context, size, sign):
    """`size` with the sign of `sign`, lane by lane."""

    def generate(context, builder, signature, values):
        return _call(builder, "copysign", values)

    return vector_type(vector_type, vector_type), generate


@intrinsic
def any_of(typing_context, mask):
    """Whether the mask holds in any lane."""

    def generate(context, builder, signature, values):
        return cgutils.is_not_null(builder, builder.bitcast(values[0], ir.IntType(SIMD_WIDTH)))

    return types.boolean(mask_type), generate


@intrinsic
def bits(typing_context, mask):
    """The mask as a number, the first lane its lowest bit."""

    def generate(context, builder, signature, values):
        return builder.zext(builder.bitcast(values[0], ir.IntType(SIMD_WIDTH)), ir.IntType(64))

    return types.uint64(mask_type), generate


@intrinsic
def multiply_add(typing_context, a, b, c):
    """a b + c, rounded once."""

    def generate(context, builder, signature, values):
        return _call(builder, "fma", [_repeat(builder, value) for value in values])

    return vector_type(a, b, c), generate


@intrinsic
def count_bits(typing_context, number):
    """How many bits of a number are 1."""

    def generate(context, builder, signature, values):
        return builder.ctpop(*values)

    return types.uint64(types.uint64), generate


@intrinsic
def total(typing_context, value):
    """The sum of all lanes, halves first."""

    def generate(context, builder, signature, values):
        (value,) = values
        while value.type.count > 1:
            value = _add_halves(builder, value)
        return builder.extract_element(value, ir.IntType(32)(0))

    return types.float32(vector_type), generate


def _halves(builder, value):
    half = value.type.count // 2
    return _shuffle(builder, value, value, range(half)), _shuffle(builder, value, value, range(half, 2 * half))


def _add_halves(builder, value):
    return builder.fadd(*_halves(builder, value))


# Two steps of adding neighbours and one of adding halves turn eight vectors of eight lanes into one of their sums. The
# first lanes and the second, of two vectors each: no number leaves its 128 bits before the last, where that is slow.
_FOLDS = [
    ([0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]),
    ([0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
    ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
]


@intrinsic
def add_totals(typing_context, array, index, values):
    """Add the sum of all lanes of each of a tuple of vectors to the float32 from `index` on, 0 to the rest of a group.

    Groups of `GROUP` are summed together, in a third of the instructions that as many times `total` takes.
    """
    _require_contiguous(array)
    count = len(values)

    def generate(context, builder, signature, arguments):
        array, index, packed = arguments
        vectors = [_add_halves(builder, builder.extract_value(packed, n)) for n in range(count)]
        zero = ir.Constant(vectors[0].type, None)
        for start in range(0, count, GROUP):
            group = (vectors[start : start + GROUP] + [zero] * GROUP)[:GROUP]
            for first, second in _FOLDS:
                group = [
                    builder.fadd(_shuffle(builder, a, b, first), _shuffle(builder, a, b, second))
                    for a, b in zip(group[::2], group[1::2], strict=True)
                ]
            at = builder.add(index, ir.IntType(64)(start))
            address = _address(context, builder, signature.args[0], array, at, GROUP)
            _store(builder, builder.fadd(_load(builder, address), group[0]), address)
        return context.get_dummy_value()

    return types.void(array, types.int64, values), generate


_CONTROL = "llvm.x86.sse.{}mxcsr" if platform.machine() in ("x86_64", "AMD64") else None
_FLUSH = 0x8040  # of MXCSR: denormal results are 0, denormal operands are taken for 0


def _control(builder, name, address):
    """Store or load the control register of this thread's floats."""
    byte = ir.IntType(8).as_pointer()
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [byte]), _CONTROL.format(name)
    )
    builder.call(function, [builder.bitcast(address, byte)])


@intrinsic
def flush_denormals(typing_context):
    """From here on, this thread takes numbers below 2^-126 for 0; returns how it was, for `restore`.

    What lies behind many splats, or is long unseen, gets ever smaller, and there x86 computes more slowly. Other
    machines are left as they are.
    """

    def generate(context, builder, signature, values):
        number = ir.IntType(32)
        before, after = (cgutils.alloca_once_value(builder, number(0)) for _ in range(2))
        if _CONTROL:
            _control(builder, "st", before)
            builder.store(builder.or_(builder.load(before), number(_FLUSH)), after)
            _control(builder, "ld", after)
        return builder.load(before)

    return types.uint32(), generate


@intrinsic
def restore(typing_context, before):
    """Undo `flush_denormals`, given what it returned."""

    def generate(context, builder, signature, values):
        if _CONTROL:
            _control(builder, "ld", cgutils.alloca_once_value(builder, values[0]))
        return context.get_dummy_value()

    return types.void(types.uint32), generate


@intrinsic
def zeros_like(typing_context, like):
    """A tuple of vectors of zeros, to set and add to: as many as the tuple `like` has items."""
    if not isinstance(like, types.BaseTuple):
        raise TypingError(f"expected a tuple, found {like}")
    count = len(like)

    def generate(context, builder, signature, values):
        return ir.Constant(ir.ArrayType(_FLOATS, count), None)

    return types.UniTuple(vector_type, count)(like), generate


def _function(name):
    """An intrinsic for a function of each lane that LLVM has."""

    def typed(typing_context, value):
        def generate(context, builder, signature, values):
            return _call(builder, name, values)

        return vector_type(vector_type), generate

    typed.__name__ = name
    return intrinsic(typed)


floor, ceil, sqrt = _function("floor"), _function("ceil"), _function("sqrt")


def _extreme(comparison, name):
    """An intrinsic that takes the lanes of `a` where they compare so with those of `b`."""

    def typed(typing_context, a, b):
        def generate(context, builder, signature, values):
            return builder.select(builder.fcmp_ordered(comparison, *values), *values)

        return vector_type(vector_type, vector_type), generate

    typed.__name__ = name
    return intrinsic(typed)


# The greater and the less of each two; of the second argument where either is NaN.
maximum, minimum = _extreme(">", "maximum"), _extreme("<", "minimum")


# Coefficients of 2^f for f in [-1/2, 1/2], from that of f on; with 1 before them the relative error is at most 1e-7.
_EXP2 = (0.6931469775972964, 0.24022242084119166, 0.055507337459344934, 0.009671512697263412, 0.001326472639037229)
_ROUND = 1.5 * 2**23  # added, it leaves a float of less than 2^22 rounded to a whole number in its lowest bits
_WHOLE = ir.VectorType(ir.IntType(32), SIMD_WIDTH)


def _same(number):
    return ir.Constant(_FLOATS, [float(number)] * SIMD_WIDTH)


def _same_whole(number):
    return ir.Constant(_WHOLE, [number] * SIMD_WIDTH)


@intrinsic
def exp2(typing_context, value):
    """2 to the power of each lane, to 1e-7 of it, for -126 <= value <= 126; elsewhere it is any number."""

    def generate(context, builder, signature, values):
        (value,) = values
        moved = builder.fadd(value, _same(_ROUND))
        rest = builder.fsub(value, builder.fsub(moved, _same(_ROUND)))
        power = _same(_EXP2[-1])
        for coefficient in (*reversed(_EXP2[:-1]), 1.0):
            power = _call(builder, "fma", [power, rest, _same(coefficient)])
        exponent = builder.shl(builder.bitcast(moved, _WHOLE), _same_whole(23))
        return builder.bitcast(builder.add(builder.bitcast(power, _WHOLE), exponent), _FLOATS)

    return vector_type(vector_type), generate


@intrinsic
def log2(typing_context, value):
    """The logarithm of each lane to base 2, to 1e-7 of it or of 1, for positive numbers that are not denormal."""

    def generate(context, builder, signature, values):
        # value = 2^e m, m between the roots of 1/2 and 2; log m = 2 artanh((m - 1) / (m + 1)).
        whole = builder.bitcast(values[0], _WHOLE)
        root_half = 0x3F3504F3
        e = builder.ashr(builder.sub(whole, _same_whole(root_half)), _same_whole(23))
        m = builder.bitcast(builder.sub(whole, builder.shl(e, _same_whole(23))), _FLOATS)
        s = builder.fdiv(builder.fsub(m, _same(1)), builder.fadd(m, _same(1)))
        square = builder.fmul(s, s)
        series = _same(1 / 9)
        for odd in (7, 5, 3, 1):
            series = _call(builder, "fma", [series, square, _same(1 / odd)])
        scaled = builder.fmul(s, _same(2 / math.log(2)))
        return _call(builder, "fma", [scaled, series, builder.sitofp(e, _FLOATS)])

    return vector_type(vector_type), generate


# Halves of a tile's edges: see `cells_between`.
sides = _constant("sides", "1 in the first eight lanes, -1 in the others.", lambda lane: 1 if lane < GROUP else -1)
lines = _constant("lines", "0, 1, ..., 7 in either half.", lambda lane: lane % GROUP)


@intrinsic
def cells_between(typing_context, edges, first):
    """Bits of the cells of 8 rows of 8: in row n those from `edges[8 + n]` to before `edges[n]`, counted from `first`.

    edges: whole numbers. The lowest bit is the first cell of the first row, the eighth its last.
    """

    def generate(context, builder, signature, values):
        edges, first = values
        counted = builder.fsub(edges, _repeat(builder, first))
        counted = builder.select(builder.fcmp_ordered(">", counted, _same(0)), counted, _same(0))
        counted = builder.select(builder.fcmp_ordered("<", counted, _same(GROUP)), counted, _same(GROUP))
        stop, start = _halves(builder, builder.fptosi(counted, _WHOLE))
        one = ir.Constant(stop.type, [1] * GROUP)
        span = builder.sub(builder.shl(one, stop), builder.shl(one, start))
        span = builder.select(builder.icmp_signed(">", stop, start), span, ir.Constant(stop.type, [0] * GROUP))
        return builder.bitcast(builder.trunc(span, ir.VectorType(ir.IntType(8), GROUP)), ir.IntType(64))

    return types.uint64(vector_type, types.float32), generate


def _quarters(*lanes):
    """Of two vectors, these lanes of each of their four quarters: 0 to 3 of the first's, 4 to 7 of the second's."""
    return [4 * quarter + lane % 4 + SIMD_WIDTH * (lane // 4) for quarter in range(4) for lane in lanes]


# Neighbours are added, then neighbours of those, within quarters; then halves, and neighbours among the quarters left.
_SUMS = [
    (_quarters(0, 4, 1, 5), _quarters(2, 6, 3, 7)),
    (_quarters(0, 1, 4, 5), _quarters(2, 3, 6, 7)),
    ([*range(8), *range(16, 24)], [*range(8, 16), *range(24, 32)]),
    (
        [*range(4), *range(8, 12), *range(16, 20), *range(24, 28)],
        [*range(4, 8), *range(12, 16), *range(20, 24), *range(28, 32)],
    ),
]


@intrinsic
def totals(typing_context, values):
    """The sum of all lanes of each of a tuple of up to sixteen vectors, in a lane each; 0 in the others."""
    count = len(values)

    def generate(context, builder, signature, arguments):
        vectors = [builder.extract_value(arguments[0], n) for n in range(count)]
        vectors += [None] * (SIMD_WIDTH - count)
        for low, high in _SUMS:
            vectors = [
                _add_shuffled(builder, a, b, low, high) for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        return vectors[0]

    return vector_type(values), generate


def _add_shuffled(builder, a, b, low, high):
    """The sum of both choices of the lanes of `a` and `b`; None stands for zeros."""
    if a is None:
        return None
    b = _same(0) if b is None else b
    return builder.fadd(_shuffle(builder, a, b, low), _shuffle(builder, a, b, high))


@intrinsic
def transpose_square(typing_context, source, index, line, target, to, length):
    """Write sixteen rows of sixteen numbers as the columns they are, between contiguous float32 arrays.

    index, line: where the first row begins, and how far the rows lie apart; to, length: the same of those written.
    """
    _require_contiguous(source)
    _require_contiguous(target)

    def generate(context, builder, signature, values):
        source, index, line, target, to, length = values
        rows = [
            _load(builder, at)
            for at in _addresses(context, builder, signature.args[0], source, index, line, SIMD_WIDTH)
        ]
        targets = _addresses(context, builder, signature.args[3], target, to, length, SIMD_WIDTH)
        for row, address in zip(_transposed(builder, rows), targets, strict=True):
            _store(builder, row, address)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, whole, target, whole, whole), generate
