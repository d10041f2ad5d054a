"""Algebra: equations in a table, and rules for the shapes of movement ops; applied to every node, its operands first.

An equation holds for every value that the operands can have, NaN, infinities and signed zeros among them: x + 0 is not x where x
is -0.0, so it is not here.
"""

import ast
import math

from tapeflow.base.shape import normalize_axes
from tapeflow.compile.rebuild import has_tensors, rebuilt
from tapeflow.compile.specialise import folded_node
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap

# Left side = right side. Names stand for any value, numbers for constants of that value in every element.
EQUATIONS = """
mul(x, 1) = x
mul(1, x) = x
truediv(x, 1) = x
sub(x, 0) = x
pow(x, 1) = x
pow(x, 2) = square(x)
pow(x, 3) = mul(square(x), x)
pow(x, 4) = square(square(x))
pow(x, -1) = reciprocal(x)
pow_slope(x, 1) = ones_like(x)
pow_slope(x, 2) = mul(2, x)
pow_slope(x, 3) = mul(3, square(x))
neg(neg(x)) = x
add(x, neg(y)) = sub(x, y)
add(neg(x), y) = sub(y, x)
sub(x, neg(y)) = add(x, y)
mul(neg(x), neg(y)) = mul(x, y)
logical_not(logical_not(x)) = x
add_n(x) = x
add_n(x, y) = add(x, y)
identity(x) = x
stop_gradient(x) = x
real(complex(x, y)) = x
imag(complex(x, y)) = y
complex(real(x), imag(x)) = x
conj(conj(x)) = x
"""


def _parsed(text):
    table = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        left, right = line.split(" = ")
        left, right = [ast.parse(side, mode="eval").body for side in (left, right)]
        table.setdefault(left.func.id, []).append((left, right))
    return table


TABLE = _parsed(EQUATIONS)


def rewrite(graph):
    """`graph` with equations and rules applied until none does."""
    return rebuilt(graph, _rewritten)


def _rewritten(builder, node, inputs, attrs):
    op = node.op
    for _ in range(8):  # a rule may open the way for another
        if has_tensors(attrs) or op.stateful:
            return None
        folded = folded_node(op, inputs, attrs, node.line)
        if folded is not None:
            return folded
        found = _by_rule(builder, op, inputs, attrs, node)
        if found is None:
            return None if op is node.op and inputs is node.inputs else builder.add(op, inputs, attrs, node.line)
        if found.__class__ is not Step:
            return found
        op, inputs, attrs = found
    return builder.add(op, inputs, attrs, node.line)


class Step(tuple):
    """A node in the place of another: (op, inputs, attrs)."""


def _by_rule(builder, op, inputs, attrs, node):
    for left, right in TABLE.get(op.name, ()):
        found = {}
        if not attrs and _matches(left, op, inputs, builder, found):
            value = _built(builder, right, found, node)
            if value is not None and value.spec == node.outputs[0].spec:
                return (value,)
    rule = RULES.get(op.name)
    if rule is not None:
        return rule(builder, op, inputs, attrs)
    return None


# Equations


def producer(builder, x):
    """The node in the new graph that made a value, or None."""
    return None if x.__class__ is Tensor or x.position is None else builder.graph.nodes[x.position]


def _matches(pattern, op, inputs, builder, found):
    if pattern.func.id != op.name or len(pattern.args) != len(inputs):
        return False
    return all(_matches_value(p, x, builder, found) for p, x in zip(pattern.args, inputs, strict=True))


def _matches_value(pattern, x, builder, found):
    if isinstance(pattern, ast.Name):
        return found.setdefault(pattern.id, x) is x
    if isinstance(pattern, ast.Call):
        node = producer(builder, x)
        return node is not None and not node.attrs and _matches(pattern, node.op, node.inputs, builder, found)
    number = ast.literal_eval(pattern)
    if x.__class__ is not Tensor:
        node = producer(builder, x)
        return (
            node is not None
            and node.op is P.fill
            and not has_tensors(node.attrs)
            and _is_number(node.attrs["value"], number)
        )
    return x._dtype.is_numeric and x._value.size == 1 and _is_number(x._value.item(), number)


def _is_number(value, number):
    return bool(value == number) and (number != 0 or (not isinstance(value, complex) and math.copysign(1, value) > 0))


def _built(builder, pattern, found, node):
    """The right side of an equation as a value; None where the op does not take these dtypes."""
    if isinstance(pattern, ast.Name):
        return found[pattern.id]
    dtype = node.outputs[0]._dtype
    if not isinstance(pattern, ast.Call):
        return wrap(dtype.type(ast.literal_eval(pattern)))
    args = [_built(builder, arg, found, node) for arg in pattern.args]
    op = getattr(P, pattern.func.id)
    if any(x is None or not op.accepts & x._dtype.bit for x in args):
        return None
    return builder.add(op, tuple(args), {}, node.line)[0]


# Movement ops


def _reshape(builder, op, inputs, attrs):
    """Every op that keeps the order of elements is a reshape; of a reshape, one reshape."""
    x = inputs[0]
    dims = op.infer(x.spec, **attrs).shape
    if dims is None or None in dims:
        return None
    if x.dims == dims:
        return (x,)
    node = producer(builder, x)
    if node is not None and node.op.name == "reshape":
        return Step((P.reshape, node.inputs, {"shape": dims}))
    if op.name != "reshape" or attrs["shape"] != dims:
        return Step((P.reshape, inputs, {"shape": dims}))
    return None


def _broadcast_to(builder, op, inputs, attrs):
    return (inputs[0],) if inputs[0].dims == tuple(attrs["shape"]) else None


def _transpose(builder, op, inputs, attrs):
    """Transposes of transposes are one; that of a stack stacks transposes; one that only moves axes of size 1 is a reshape."""
    x, perm = inputs[0], attrs["perm"]
    if x.dims is None or None in x.dims:
        return None
    perm = tuple([i % len(x.dims) for i in perm])
    if perm == tuple(range(len(perm))):
        return (x,)
    node = producer(builder, x)
    if node is not None and node.op.name == "transpose":
        inner = node.attrs["perm"]
        return Step((P.transpose, node.inputs, {"perm": tuple([inner[i] % len(perm) for i in perm])}))
    if node is not None and node.op.name == "stack" and perm[-1] == len(perm) - 1 != node.attrs["axis"] % len(perm):
        axis = node.attrs["axis"] % len(perm)
        rest = tuple([i - (i > axis) for i in perm if i != axis])
        parts = [builder.add(P.transpose, (y,), {"perm": rest}, None)[0] for y in node.inputs]
        return Step((P.stack, tuple(parts), {"axis": perm.index(axis)}))
    moved = [i for i in perm if x.dims[i] != 1]
    if moved == sorted(moved):
        return Step((P.reshape, inputs, {"shape": tuple([x.dims[i] for i in perm])}))
    return None if perm == attrs["perm"] else Step((op, inputs, {"perm": perm}))


def _like(builder, op, inputs, attrs):
    """Zeros and ones need the shape of a value, not the value, which may then be dead."""
    x = inputs[0]
    if x.dims is None or None in x.dims or not x._dtype.is_numeric:
        return None
    return Step((P.fill, (), {"shape": x.dims, "value": int(op.name == "ones_like"), "dtype": x._dtype}))


def _cast(builder, op, inputs, attrs):
    return (inputs[0],) if inputs[0]._dtype is attrs["dtype"] else None


def _sum_to(builder, op, inputs, attrs):
    """A sum over the axes that were broadcast."""
    x, dims = inputs[0], tuple(attrs["shape"])
    if x.dims is None or None in x.dims or not P.sum.accepts & x._dtype.bit:
        return None
    if x.dims == dims:
        return (x,)
    extra = len(x.dims) - len(dims)
    axes = (*range(extra), *[i + extra for i, n in enumerate(dims) if n == 1 and x.dims[i + extra] != 1])
    (total,) = builder.add(P.sum, (x,), {"axis": axes, "keepdims": False}, None)
    return Step((P.reshape, (total,), {"shape": dims}))


def _reduction(builder, op, inputs, attrs):
    """A reduction of a reshape that only added axes of size 1, and `keepdims` as a reshape."""
    if not attrs.get("keepdims"):
        return None
    x = inputs[0]
    if x.dims is None or None in x.dims:
        return None
    axes = normalize_axes(attrs.get("axis"), len(x.dims))
    (total,) = builder.add(op, inputs, {"axis": axes, "keepdims": False}, None)
    return Step((P.reshape, (total,), {"shape": tuple([1 if i in axes else n for i, n in enumerate(x.dims)])}))


def _matmul(builder, op, inputs, attrs):
    """A transpose of the last two axes of an operand is a flag of the product."""
    flags = {"transpose_a": attrs.get("transpose_a", False), "transpose_b": attrs.get("transpose_b", False)}
    operands = list(inputs)
    for i, flag in enumerate(flags):
        node = producer(builder, operands[i])
        if node is not None and node.op.name == "transpose" and not operands[i]._dtype.is_complex:
            perm = node.attrs["perm"]
            last = len(perm) - 1
            if perm == (*range(last - 1), last, last - 1):
                operands[i] = node.inputs[0]
                flags[flag] = not flags[flag]
    changed = any(a is not b for a, b in zip(operands, inputs, strict=True))  # `!=` of tensors would be an op
    return Step((op, tuple(operands), flags)) if changed else None


def _mul(builder, op, inputs, attrs):
    """The sign of a factor is the product's, where two may meet or what follows takes it; a complex zero's would be another."""
    for i, x in enumerate(inputs):
        node = producer(builder, x)
        if node is not None and node.op.name == "neg" and not x._dtype.is_complex:
            (product,) = builder.add(op, (*inputs[:i], node.inputs[0], *inputs[i + 1 :]), attrs, None)
            return Step((P.neg, (product,), {}))
    return None


def _concat(builder, op, inputs, attrs):
    return (inputs[0],) if len(inputs) == 1 else None


RULES = {
    "zeros_like": _like,
    "ones_like": _like,
    **dict.fromkeys(["reshape", "expand_dims", "squeeze", "ensure_shape"], _reshape),
    **dict.fromkeys(["sum", "prod", "max", "min", "all", "any", "mean", "logsumexp"], _reduction),
    "broadcast_to": _broadcast_to,
    "transpose": _transpose,
    "cast": _cast,
    "sum_to": _sum_to,
    "matmul": _matmul,
    "mul": _mul,
    "concat": _concat,
}

__all__ = ["EQUATIONS", "producer", "rewrite"]
