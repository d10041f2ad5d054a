"""`tf.einsum`: an equation is planned once, then runs as transposes, reshapes and matrix products."""

import functools
import re

from tapeflow.api.export import export
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of

# In this file an axis has a label: a letter of the equation, or for the axes under an ellipsis the int 0, 1, ...
# counted from the last. Axes with int labels broadcast; axes with a letter must have one size.

OPERAND = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")


@export("einsum", "linalg.einsum")
def einsum(equation, *inputs, **kwargs):
    """Sums of products over labelled axes (Einstein's convention).

    Args:
        equation: such as `"bij,bjk->bik"`: labels of the axes of every input, then those of the result. Labels that are
            not in the result are summed over; a label repeated in one input takes its diagonal; `...` stands for axes
            that broadcast. Without `->` the result has the labels that occur once, in alphabetic order.
        *inputs: numeric tensors of one dtype.
        optimize: how the order of products is chosen, a strategy of `numpy.einsum_path`; `"greedy"` by default.

    Returns:
        A tensor.

    Raises:
        ValueError: a malformed equation, or another number of inputs than it has.
        InvalidArgumentError: an input whose rank or sizes do not fit the equation.

    Example:
        >>> import tapeflow as tf
        >>> tf.einsum("ij,jk->ik", tf.ones([2, 3]), tf.ones([3, 5])).shape
        TensorShape([2, 5])
    """
    optimize = kwargs.pop("optimize", "greedy")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(
            f"Invalid keyword arguments for einsum: {', '.join(kwargs)}. Valid arguments: name, optimize, greedy."
        )
    xs = [convert_to_tensor(x) for x in inputs]
    if len(xs) == 2 and xs[0].__class__ is Tensor and xs[1].__class__ is Tensor:
        recipe = _pair(equation, xs[0].dims, xs[1].dims)
        if recipe is not None:
            return _run(recipe, *xs)
    operands, result = _parsed(equation)
    if len(xs) != len(operands):
        raise ValueError(f'Got {len(xs)} inputs for equation "{equation}", expecting {len(operands)}')
    labelled, result = _labels(equation, tuple([None if x.dims is None else len(x.dims) for x in xs]))
    _check_sizes([x.dims for x in xs], labelled)
    terms = [_diagonal(x, list(labels)) for x, labels in zip(xs, labelled, strict=True)]
    for i, j in _order(equation, xs, labelled, optimize):
        rest = {label for at, (_, labels) in enumerate(terms) if at not in (i, j) for label in labels}.union(result)
        (a, labels_a), (b, labels_b) = terms[i], terms[j]
        kept = [label for label in dict.fromkeys((*labels_a, *labels_b)) if label in rest]
        kept = list(result) if len(terms) == 2 else kept
        product = contract(*_summed(a, labels_a, {*labels_b, *rest}), *_summed(b, labels_b, {*labels_a, *rest}), kept)
        terms = [term for at, term in enumerate(terms) if at not in (i, j)] + [(product, kept)]
    x, labels = _summed(*terms[0], set(result))
    return _permuted(x, [labels.index(label) for label in result])


@functools.lru_cache(maxsize=1024)
def _pair(equation, *shapes):
    """The recipe for two inputs of known shapes, or None where it takes more than one product."""
    operands, _ = _parsed(equation)
    if len(operands) != 2:
        return None
    labelled, result = _labels(equation, tuple(map(len, shapes)))
    _check_sizes(shapes, labelled)
    for labels, others in (labelled, labelled[::-1]):
        if len(set(labels)) != len(labels) or not set(labels) <= {*others, *result}:
            return None
    return _recipe(labelled[0], shapes[0], labelled[1], shapes[1], result)


@functools.lru_cache(maxsize=1024)
def _parsed(equation):
    """The operands of an equation and its result, as strings of letters and at most one `...` each."""
    compact = equation.replace(" ", "")
    left, arrow, right = compact.partition("->")
    operands = left.split(",")
    if not all(OPERAND.fullmatch(part) for part in (*operands, right)):
        raise ValueError(f"Subscripts have incorrect format: {compact}")
    letters = left.replace(".", "").replace(",", "")
    if not arrow:
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    own = right.replace(".", "")
    if len(set(own)) != len(own):
        raise ValueError(f"Output subscripts contain a label appearing more than once: {compact}")
    for letter in own:
        if letter not in letters:
            raise ValueError(f"Output subscripts contain the label {letter} not present in the input subscripts.")
    return tuple(operands), right


@functools.lru_cache(maxsize=1024)
def _labels(equation, ranks):
    """For inputs of these ranks: the tuple of labels of each, and that of the result."""
    operands, right = _parsed(equation)
    labelled, most = [], 0
    for position, (operand, rank) in enumerate(zip(operands, ranks, strict=True)):
        before, dots, after = operand.partition("...")
        hidden = None if rank is None else rank - len(before) - len(after)
        if hidden is None or hidden < 0 or (hidden and not dots):
            wanted = f"at least rank {len(before + after)}" if dots else f"rank {len(before + after)}"
            raise invalid("Einsum", f"Expected input {position} to have {wanted} but got: {rank} (equation {equation})")
        labelled.append((*before, *range(hidden - 1, -1, -1), *after))
        most = max(most, hidden)
    before, dots, after = right.partition("...")
    if most and not dots:
        raise invalid(
            "Einsum",
            f"Output contains {most} broadcasting dimension(s) but no ellipsis (...) was found in the output "
            "subscripts "
            f"(equation {equation}).",
        )
    return tuple(labelled), (*before, *(range(most - 1, -1, -1) if dots else ()), *after)


def _check_sizes(shapes, labelled):
    sizes = {}
    for dims, labels in zip(shapes, labelled, strict=True):
        for axis, (label, n) in enumerate(zip(labels, dims, strict=True)):
            known = sizes.setdefault(label, n)
            if known is None or (label.__class__ is int and known == 1):
                sizes[label] = n
            elif n is not None and n != known and not (label.__class__ is int and n == 1):
                raise invalid(
                    "Einsum",
                    f"Expected dimension {known} at axis {axis} of the input shaped [{','.join(map(str, dims))}] "
                    "but got "
                    f"dimension {n}",
                )


def _order(equation, xs, labelled, optimize):
    """Which two terms are multiplied in each step; the product becomes the last term."""
    if len(xs) <= 2:
        return [(0, 1)] * (len(xs) - 1)
    if any(None in x.dims for x in xs):
        return [(0, 1)] * (len(xs) - 1)
    return _planned_order(labelled, tuple([x.dims for x in xs]), optimize)


@functools.lru_cache(maxsize=256)
def _planned_order(labelled, shapes, optimize):
    import numpy as np

    letters = {}
    for label in (label for labels in labelled for label in labels):
        letters.setdefault(label, len(letters))
    operands = []
    for labels, shape in zip(labelled, shapes, strict=True):
        operands += [np.broadcast_to(np.float32(0), shape), [letters[label] for label in labels]]
    optimize = {"branch-2": "optimal", "auto": "greedy", "branch-1": "greedy", "branch-all": "optimal"}.get(
        optimize, optimize
    )
    steps = np.einsum_path(*operands, optimize=optimize)[0][1:]
    pairs = []
    for step in steps:
        # A step may name more than two terms: multiply them one by one, the product being the last term each time.
        first = sorted(step)
        count = len(labelled) - len(pairs)
        pairs.append((first[0], first[1]))
        for extra in range(2, len(first)):
            pairs.append((first[extra] - extra, count - extra))
    return pairs


def _diagonal(x, labels):
    """Take the diagonal over each label that occurs twice or more."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            others = [k for k in range(len(labels)) if k not in (i, j)]
            dims = dims_of(x)
            n = dims[i]
            x = P.reshape(_permuted(x, [*others, i, j]), shape=(*[dims[k] for k in others], n * n))
            x = P.strided_slice(x, key=(Ellipsis, (None, None, n + 1)))
            labels = [labels[k] for k in others] + [label]
    return x, labels


def _summed(x, labels, wanted):
    """Sum over the axes whose label nobody wants."""
    gone = tuple([axis for axis, label in enumerate(labels) if label not in wanted])
    if not gone:
        return x, list(labels)
    return P.sum(x, axis=gone, keepdims=False), [label for label in labels if label in wanted]


def contract(a, labels_a, b, labels_b, result):
    """The sum of products of two tensors over the labels that are not in `result`; no label occurs twice in one tensor.

    A label in both factors and the result is a batch axis; a label in both that is not in the result is summed over.
    """
    key = tuple(labels_a), dims_of(a), tuple(labels_b), dims_of(b), tuple(result)
    static = None not in a.dims and None not in b.dims
    return _run(_recipe_of_shapes(*key) if static else _recipe(*key), a, b)


def _run(recipe, a, b):
    """Multiply two tensors as a recipe says."""
    arrange_a, arrange_b, transposed, shape, perm = recipe
    a, b = _arranged(a, *arrange_a), _arranged(b, *arrange_b)
    if transposed is None:
        product = P.mul(a, b)
    elif transposed == (False, False):
        product = P.matmul(a, b)
    else:
        product = P.matmul(a, b, transpose_a=transposed[0], transpose_b=transposed[1])
    if shape is not None:
        product = P.reshape(product, shape=shape)
    return product if perm is None else P.transpose(product, perm=perm)


def _arranged(x, perm, shape):
    x = x if perm is None else P.transpose(x, perm=perm)
    return x if shape is None else P.reshape(x, shape=shape)


def _recipe(labels_a, dims_a, labels_b, dims_b, result):
    """How to contract: (perm, shape) of each factor, which of them the product transposes (None: it is elementwise), and
    the shape and perm of the product; None stands for nothing to do.
    """
    sizes_a, sizes_b = dict(zip(labels_a, dims_a, strict=True)), dict(zip(labels_b, dims_b, strict=True))
    shared = [label for label in result if label in sizes_a and label in sizes_b]
    inner = [label for label in labels_a if label in sizes_b and label not in shared]
    # Int labels broadcast: they stay axes of their own, with a one where a factor lacks them.
    batch = [label for label in result if label in shared or label.__class__ is int]
    rows = [label for label in result if label in sizes_a and label not in batch]
    columns = [label for label in result if label in sizes_b and label not in batch]
    order = [*batch, *rows, *columns]
    perm = _perm(order, result)
    if not inner:
        return _layout(sizes_a, order, None), _layout(sizes_b, order, None), None, None, perm
    swap_a = labels_a == (*_own(batch, sizes_a), *inner, *rows)
    swap_b = labels_b == (*_own(batch, sizes_b), *columns, *inner)
    factor_a = _layout(sizes_a, batch, (inner, rows) if swap_a else (rows, inner))
    factor_b = _layout(sizes_b, batch, (columns, inner) if swap_b else (inner, columns))
    shape = None
    if len(rows) != 1 or len(columns) != 1:
        sizes = [_broadcast(sizes_a.get(label, 1), sizes_b.get(label, 1)) for label in batch]
        shape = (*sizes, *[sizes_a[label] for label in rows], *[sizes_b[label] for label in columns])
    return factor_a, factor_b, (swap_a, swap_b), shape, perm


_recipe_of_shapes = functools.lru_cache(maxsize=1024)(_recipe)


def _own(labels, sizes):
    return [label for label in labels if label in sizes]


def _layout(sizes, order, matrix):
    """The perm and the shape that give a tensor the axes `order`, and where there is a `matrix`, two more: its groups.

    A one stands for a label that the tensor lacks, but for those in front, which broadcasting adds.
    """
    labels = list(sizes)
    wanted = _own(order, sizes) + ([] if matrix is None else [label for group in matrix for label in group])
    perm = _perm(labels, wanted)
    first = next((i for i, label in enumerate(order) if label in sizes), len(order))
    kept = order[first:]
    if all(label in sizes for label in kept) and (matrix is None or all(len(group) == 1 for group in matrix)):
        return perm, None
    shape = [sizes.get(label, 1) for label in kept]
    if matrix is not None:
        shape += [_product([sizes[label] for label in group]) for group in matrix]
    return perm, tuple(shape)


def _perm(labels, wanted):
    perm = tuple([labels.index(label) for label in wanted])
    return None if perm == tuple(range(len(perm))) else perm


def _broadcast(n, m):
    """The size of an axis on which two factors meet."""
    if n.__class__ is int and m.__class__ is int:
        return m if n == 1 else n
    if n.__class__ is int:
        return m if n == 1 else n
    return n if m.__class__ is int and m == 1 else P.maximum(n, m) if m.__class__ is not int else m


def _permuted(x, perm):
    return x if perm == sorted(perm) else P.transpose(x, perm=tuple(perm))


def _product(sizes):
    total = 1
    for n in sizes:
        total = n if total.__class__ is int and total == 1 else total * n
    return total
