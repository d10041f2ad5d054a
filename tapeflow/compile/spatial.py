"""Convolutions and pooling, and their gradients, as library calls."""

from tapeflow.base.dtypes import float32, float64
from tapeflow.compile import conv as convolution
from tapeflow.compile import conv_filter, pooling
from tapeflow.compile.expr import MustStore
from tapeflow.compile.librarystep import Library, LibraryStep, Operand
from tapeflow.compile.scalars import MACHINE
from tapeflow.core.tensor import Tensor
from tapeflow.ops.window import geometry

# For each op the inputs that say the geometry: (the image's dims, the filter's dims or None) of a node.
CONVOLUTIONS = {
    "conv": lambda node: (node.inputs[0].dims, node.inputs[1].dims),
    "conv_input": lambda node: (tuple(node.attrs["shape"]), node.inputs[1].dims),
    "conv_filter": lambda node: (node.inputs[0].dims, tuple(node.attrs["shape"])),
}
POOLS = {
    "max_pool": lambda node: node.inputs[0].dims,
    "avg_pool": lambda node: node.inputs[0].dims,
    "avg_pool_grad": lambda node: tuple(node.attrs["shape"]),
    "max_pool_grad": lambda node: node.inputs[1].dims,
}
FLOATS = {float32, float64}


def is_spatial(node):
    """Whether a node is a convolution or a pooling, or a gradient of one, that there is code for."""
    if node.op.name not in CONVOLUTIONS and node.op.name not in POOLS:
        return False
    if node.outputs[0]._dtype not in FLOATS:
        return False
    known = all(x.dims is not None and None not in x.dims and 0 not in x.dims for x in (*node.inputs, *node.outputs))
    return known and len(node.outputs[0].dims) <= 5 and len(node.inputs[0].dims) in (3, 4, 5)


def geometry_of(node):
    """The `Conv` of a node."""
    attrs = node.attrs
    if node.op.name in POOLS:
        image = POOLS[node.op.name](node)
        window, channels = tuple(attrs["ksize"]), image[-1]
        features, groups = channels, channels
    else:
        image, weights = CONVOLUTIONS[node.op.name](node)
        window, channels, features = weights[:-2], image[-1], weights[-1]
        groups = channels // weights[-2]
    strides, dilations = tuple(attrs["strides"]), tuple(attrs["dilations"])
    out, pads = geometry(node.op.name, image[1:-1], window, strides, dilations, attrs["padding"])
    before = tuple([a for a, _ in pads])
    element = MACHINE[node.outputs[0]._dtype]
    return convolution.Conv(
        image[0], image[1:-1], window, out, channels, features, element, strides, dilations, before, groups
    )


def operands_of(node, reader):
    """The operands, which stand whole in memory."""
    return [_dense(x, reader) for x in node.inputs]


def _dense(x, reader):
    if x.__class__ is Tensor:
        reader.values[id(x)] = x
        return Operand(x)
    base = reader.base(x)
    if base is None:
        raise MustStore(x)
    reader.values[id(base)] = base
    return Operand(base)


def takes_epilogue(node):
    """Whether elementwise work can join: each element of the result is at a row and a column of vectors."""
    dims = node.outputs[0].dims
    return node.op.name in CONVOLUTIONS and dims[-1] > 1 and any(n > 1 for n in dims[:-1])


def step(group, reader, targets):
    """The step of a convolution or a pooling."""
    node = group.anchor.node
    conv = geometry_of(node)
    return LibraryStep(group, reader, targets, EMIT[node.op.name](conv), conv)


def _conv(conv):
    def emit(module, places, result, workspace, epilogue):
        return convolution.emit_conv(
            module, conv, x=places[0], w=places[1], y=result, workspace=workspace, epilogue=epilogue
        )

    return emit


def _conv_input(conv):
    def emit(module, places, result, workspace, epilogue):
        return convolution.emit_conv_input(
            module, conv, g=places[0], w=places[1], dx=result, workspace=workspace, epilogue=epilogue
        )

    return emit


def _conv_filter(conv):
    def emit(module, places, result, workspace, epilogue):
        return conv_filter.emit_conv_filter(
            module, conv, x=places[0], g=places[1], dw=result, workspace=workspace, epilogue=epilogue
        )

    return emit


def _max_pool(conv):
    def emit(module, places, result, workspace, epilogue):
        return pooling.emit_max_pool(module, conv, x=places[0], y=result)

    return emit


def _avg_pool(conv):
    def emit(module, places, result, workspace, epilogue):
        return pooling.emit_mean_pool(module, conv, x=places[0], y=result)

    return emit


def _avg_pool_grad(conv):
    def emit(module, places, result, workspace, epilogue):
        return pooling.emit_mean_pool_input(module, conv, g=places[0], dx=result, workspace=workspace)

    return emit


def _max_pool_grad(conv):
    def emit(module, places, result, workspace, epilogue):
        g, x, y = places
        return pooling.emit_max_pool_input(module, conv, g=g, x=x, y=y, dx=result)

    return emit


EMIT = {
    "conv": _conv,
    "conv_input": _conv_input,
    "conv_filter": _conv_filter,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "avg_pool_grad": _avg_pool_grad,
    "max_pool_grad": _max_pool_grad,
}
SPATIAL = Library(operands_of, takes_epilogue, step)

__all__ = ["SPATIAL", "geometry_of", "is_spatial"]
