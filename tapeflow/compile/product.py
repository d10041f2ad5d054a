"""Matrix products: which strides their operands have, and the elementwise work that their tiles take on as they are written."""

from dataclasses import replace

from tapeflow.base.dtypes import float32, float64
from tapeflow.compile.affine import ZERO, coefficient, strides_of, total, variable
from tapeflow.compile.control import State
from tapeflow.compile.expr import MustStore
from tapeflow.compile.gemm import Matmul, emit_matmul
from tapeflow.compile.librarystep import Library, LibraryStep, Operand
from tapeflow.compile.scalars import MACHINE
from tapeflow.core.tensor import Tensor


def is_product(node):
    """Whether a node is a product of matrices that we generate code for."""
    if node.op.name != "matmul" or node.outputs[0]._dtype not in (float32, float64):
        return False
    return all(x.dims is not None and None not in x.dims and 0 not in x.dims for x in (*node.inputs, *node.outputs))


def takes_epilogue(node):
    """Whether elementwise work can join a product: each element of the result is at a row and a column of vectors."""
    return node.outputs[0].dims[-1] > 1 and node.outputs[0].dims[-2] > 1


def operands_of(node, reader):
    """The two `Operand`s of a product: views of what is in memory.

    Raises:
        MustStore: an operand is no view of a stored value, so it has to be stored.
    """
    out = node.outputs[0].dims
    return [
        _operand(x, out, reader, node.attrs.get(flag, False))
        for x, flag in zip(node.inputs, ("transpose_a", "transpose_b"), strict=True)
    ]


def _operand(x, out, reader, transposed):
    dims = x.dims
    batch = len(out) - 2
    own = len(dims) - 2
    sizes = (*out[:batch], *dims[-2:])
    index = [ZERO if n == 1 else variable(batch - own + i) for i, n in enumerate(dims[:own])]
    index += [ZERO if n == 1 else variable(batch + i) for i, n in enumerate(dims[-2:])]
    if x.__class__ is Tensor:
        reader.values[id(x)] = x
        form = total(index, strides_of(dims))
        value = x
    else:
        expr = reader.element(x, tuple(index), sizes)
        if expr.op != "load" or expr.args:
            raise MustStore(x)
        value, form = reader.values[expr.data[0]], expr.data[1]
    steps = [coefficient(form, v) for v in range(batch)]
    rows, columns = [coefficient(form, batch + i) for i in range(2)]
    if dims[-1] == 1:
        columns = 1
    if dims[-2] == 1:
        rows = dims[-1]
    if transposed:
        rows, columns = columns, rows
    return Operand(value, form[0], (steps, rows, columns))


def spec_of(node, a, b):
    """The `Matmul` of a product; batch axes along which only A moves become rows where it is contiguous."""
    out = node.outputs[0].dims
    (a_steps, a_row, a_column), (b_steps, b_row, b_column) = a.strides, b.strides
    element = MACHINE[node.outputs[0]._dtype]
    size = element.bytes
    m, n = out[-2:]
    k = node.inputs[0].dims[-2 if node.attrs.get("transpose_a") else -1]
    axes = []
    step = m * n
    for count, x, y in list(zip(out[:-2], a_steps, b_steps, strict=True))[::-1]:
        if count != 1:
            axes.append((count, x, y, step))
        step *= count
    while axes and axes[0][2] == 0 and axes[0][1] == a_row * m and axes[0][3] == m * n:
        m *= axes.pop(0)[0]
    batch = tuple([(count, x * size, y * size, z * size) for count, x, y, z in axes[::-1]])
    return Matmul(m, n, k, element, (a_row * size, a_column * size), (b_row * size, b_column * size), n * size, batch)


def _is_weight(x, reader):
    """Whether a value is a variable or an input, which is likely to be updated from run to run; what a loop has is none."""
    node = reader.producers.get(id(x))
    if node is None:
        return x.__class__ is not Tensor and not reader.turns
    return node.op.name == "read_variable" and not isinstance(node.attrs["variable"], State)


def step(group, reader, targets):
    """The step of a product."""
    a, b = group.anchor.operands
    spec = spec_of(group.anchor.node, a, b)
    spec = replace(spec, updated=_is_weight(b.value, reader), computed=not _is_weight(a.value, reader))

    def emit(module, places, result, workspace, epilogue):
        return emit_matmul(module, spec, a=places[0], b=places[1], c=result, workspace=workspace, epilogue=epilogue)

    return LibraryStep(group, reader, targets, emit, spec)


PRODUCT = Library(operands_of, takes_epilogue, step)

__all__ = ["PRODUCT", "Operand", "is_product", "operands_of", "spec_of"]
