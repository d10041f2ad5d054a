"""`tf.einsum`: an equation is planned once, then runs as transposes, reshapes and matrix products."""

import functools
import re

from tapeflow.api.export import export
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
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
    operands, result = _parsed(equation)
    if len(xs) != len(operands):
        raise ValueError(f'Got {len(xs)} inputs for equation "{equation}", expecting {len(operands)}')
    labelled, result = _labels(equation, tuple([None if x.dims is None else len(x.dims) for x in xs]))
    _check_sizes(xs, labelled)
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


def _check_sizes(xs, labelled):
    sizes = {}
    for x, labels in zip(xs, labelled, strict=True):
        for axis, (label, n) in enumerate(zip(labels, x.dims, strict=True)):
            known = sizes.setdefault(label, n)
            if known is None or (label.__class__ is int and known == 1):
                sizes[label] = n
            elif n is not None and n != known and not (label.__class__ is int and n == 1):
                raise invalid(
                    "Einsum",
                    f"Expected dimension {known} at axis {axis} of the input shaped [{','.join(map(str, x.dims))}] "
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
    batch = [label for label in result if label in labels_a and label in labels_b]
    inner = [label for label in labels_a if label in labels_b and label not in batch]
    rows = [label for label in result if label in labels_a and label not in batch]
    columns = [label for label in result if label in labels_b and label not in batch]
    # Int labels broadcast: they stay axes of their own, with a one where a factor lacks them.
    loose = [label for label in (*rows, *columns) if label.__class__ is int]
    batch = sorted(batch + loose, key=result.index)
    rows = [label for label in rows if label not in loose]
    columns = [label for label in columns if label not in loose]
    if not inner:
        product = P.mul(
            _arranged(a, labels_a, [*batch, *rows, *columns]), _arranged(b, labels_b, [*batch, *rows, *columns])
        )
        return _ordered(product, [*batch, *rows, *columns], result)
    sizes = dict(zip(labels_a, dims_of(a), strict=True)) | dict(zip(labels_b, dims_of(b), strict=True))
    a, transpose_a = _as_matrices(a, labels_a, batch, rows, inner, sizes)
    b, transpose_b = _as_matrices(b, labels_b, batch, inner, columns, sizes)
    if transpose_a or transpose_b:
        product = P.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    else:
        product = P.matmul(a, b)
    if len(rows) != 1 or len(columns) != 1:
        dims = dims_of(product)[: len(batch)]
        product = P.reshape(product, shape=(*dims, *[sizes[label] for label in (*rows, *columns)]))
    return _ordered(product, [*batch, *rows, *columns], result)


def _as_matrices(x, labels, batch, rows, columns, sizes):
    """`x` as [*batch, rows, columns], or with the last two exchanged where that spares a transpose, and whether it is
    so."""
    own = [label for label in batch if label in labels]
    swapped = labels == [*own, *columns, *rows] and labels != [*own, *rows, *columns]
    first, last = (columns, rows) if swapped else (rows, columns)
    x = _arranged(x, labels, [*batch, *first, *last])
    if len(first) != 1 or len(last) != 1:
        stack = dims_of(x)[: len(x.dims) - len(first) - len(last)]
        x = P.reshape(x, shape=(*stack, _product(sizes, first), _product(sizes, last)))
    return x, swapped


def _arranged(x, labels, wanted):
    """`x` with its axes in the order `wanted`, and a one for each label it lacks (leading ones are left out)."""
    present = [label for label in wanted if label in labels]
    x = _permuted(x, [labels.index(label) for label in present])
    lacking = [axis for axis, label in enumerate(wanted) if label not in labels]
    leading = 0
    while leading in lacking:
        leading += 1
    if not present:
        return x
    missing = tuple([axis - leading for axis in lacking if axis >= leading])
    return P.expand_dims(x, axis=missing) if missing else x


def _ordered(x, labels, wanted):
    return _permuted(x, [labels.index(label) for label in wanted])


def _permuted(x, perm):
    return x if perm == sorted(perm) else P.transpose(x, perm=tuple(perm))


def _product(sizes, labels):
    total = 1
    for label in labels:
        total = sizes[label] if total.__class__ is int and total == 1 else total * sizes[label]
    return total
