"""Loops over the first axis of tensors: `tf.map_fn`, `tf.scan`, `tf.foldl`, `tf.foldr`."""

import functools

from tapeflow.api.control import is_symbolic, without_gradient
from tapeflow.api.export import export
from tapeflow.base import nest
from tapeflow.base.dtypes import as_dtype
from tapeflow.base.errors import InvalidArgumentError, OutOfRangeError
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.trace.autograph import converted_here


def _with_back_prop(function):
    """Let a loop heed its argument `back_prop`: False stops gradients at its results."""
    position = function.__code__.co_varnames.index("back_prop")

    @functools.wraps(function)
    def loop(*args, **kwargs):
        result = function(*args, **kwargs)
        wanted = args[position] if len(args) > position else kwargs.get("back_prop", True)
        return result if wanted else without_gradient(result)

    return loop


def _converted(fn, elems):
    """The elements with every leaf a tensor or a composite."""
    if not callable(fn):
        raise TypeError(f"The provided function is not callable. fn={fn!r}")
    leaves = nest.flatten(elems)
    if not leaves:
        raise ValueError(
            f"elems must be a Tensor or (possibly nested) sequence of Tensors. Got {elems}, which does not contain any "
            "Tensors."
        )
    elems = nest.map_structure(lambda x: x if hasattr(x, "_type_spec") else convert_to_tensor(x), elems)
    for x in nest.flatten(elems):
        if isinstance(x, Tensor) and x.dims == ():
            raise ValueError("Elements in elems must be 1+ dimensional Tensors, not scalars")
    return elems


def _traced(elems):
    return any(map(is_symbolic, nest.flatten(elems)))


def _rows(elems):
    """The length of the first axis, and for each index the nest of the rows there."""
    columns = []
    for x in nest.flatten(elems):
        columns.append(_column(x))
    counts = [len(column) for column in columns]
    for count in counts:
        if count != counts[0]:
            raise ValueError(f"Dimensions {counts[0]} and {count} are not compatible: elems differ in their first axis.")
    return counts[0], [nest.pack_sequence_as(elems, row) for row in zip(*columns, strict=True)]


def _column(x):
    """The rows of a tensor, an extension type or a ragged tensor."""
    if isinstance(x, Tensor):
        return P.unstack(x, axis=0, num=x.dims[0]) if x.dims[0] else ()
    if hasattr(x, "_fields_"):
        parts = [_column(part) for part in nest.flatten(x, expand_composites=True)]
        spec = x._type_spec._unbatch()
        return [nest.pack_sequence_as(spec, row, expand_composites=True) for row in zip(*parts, strict=True)]
    return x.unstack() if isinstance(x, Composite) else [x[i] for i in range(int(x.shape[0]))]


def _check_parallel(parallel_iterations):
    if not isinstance(parallel_iterations, int) or parallel_iterations < 1:
        raise TypeError("'parallel_iterations' must be a positive integer.")


@export("map_fn")
@_with_back_prop
def map_fn(
    fn,
    elems,
    dtype=None,
    parallel_iterations=None,
    back_prop=True,
    swap_memory=False,
    infer_shape=True,
    name=None,
    fn_output_signature=None,
):
    """`fn` of each row of `elems`, stacked along the first axis.

    Args:
        fn: a function of one row (or a nest of rows).
        elems: a tensor, or a nest of tensors with equal first axes; ragged tensors too.
        dtype: an old name of `fn_output_signature`.
        parallel_iterations, swap_memory: accepted.
        back_prop: False stops gradients at the results.
        infer_shape: whether all results must have one shape.
        fn_output_signature: a nest of dtypes or specs of what `fn` returns; the dtypes of `elems` by default.

    Raises:
        TypeError: `fn` is not callable, or returns another kind of nest.
        ValueError: `elems` is a scalar, first axes differ, or results differ in shape.
        InvalidArgumentError: a result has another dtype than the signature says.

    Example:
        >>> import tapeflow as tf
        >>> tf.map_fn(lambda row: row * row[0], tf.constant([[1, 2], [3, 4]])).numpy().tolist()
        [[1, 2], [9, 12]]
    """
    elems = _converted(fn, elems)
    fn = converted_here(fn)
    signature = dtype if fn_output_signature is None else fn_output_signature
    if signature is None:
        signature = nest.map_structure(lambda x: x.dtype if isinstance(x, Tensor) else x._type_spec, elems)
    if _traced(elems):
        from tapeflow.trace import control

        return control.map_fn(fn, elems, signature, infer_shape)
    columns = [_Column(spec, infer_shape) for spec in nest.flatten(signature)]
    for row in _rows(elems)[1]:
        result = fn(row)
        nest.assert_same_structure(signature, result)
        for column, leaf in zip(columns, nest.flatten(result), strict=True):
            column.append(leaf)
    return nest.pack_sequence_as(signature, [column.stacked() for column in columns])


class _Column:
    """One leaf of the results of a loop: checks that all have one dtype and shape, and stacks them.

    Args:
        spec: a dtype, or the spec of one result.
        infer_shape: whether the shapes must agree.
    """

    def __init__(self, spec, infer_shape=True):
        self.composite = isinstance(spec, TypeSpec) and not isinstance(spec, TensorSpec)
        self.spec = spec
        self.dtype = getattr(spec, "dtype", None) if isinstance(spec, TypeSpec) else as_dtype(spec)
        self.shape = spec.shape if isinstance(spec, TensorSpec) else TensorShape(None)
        self.infer_shape = infer_shape
        self.values = []

    def append(self, value):
        """Add the result of one step."""
        if self.composite:
            self.values.append(value)
            return
        tensor = value if isinstance(value, Tensor) else convert_to_tensor(value, dtype_hint=self.dtype)
        if tensor.dtype is not self.dtype:
            raise InvalidArgumentError(
                None,
                None,
                f"TensorArray dtype is {self.dtype.name} but Op is trying to write dtype {tensor.dtype.name} ",
            )
        if self.infer_shape and self.shape._dims != tensor.dims:
            if not self.shape.is_compatible_with(tensor.shape):
                raise ValueError(f"Incompatible shape for value ({tensor.shape}), expected ({self.shape})")
            self.shape = self.shape.merge_with(tensor.shape)
        self.values.append(tensor)

    def stacked(self):
        """All results along a new first axis."""
        if self.composite and hasattr(self.spec, "_fields_"):
            parts = zip(*[nest.flatten(value, expand_composites=True) for value in self.values], strict=True)
            stacked = [P.stack(*part, axis=0) for part in parts]
            spec = (self.values[0]._type_spec if self.values else self.spec)._batch(len(self.values))
            return nest.pack_sequence_as(spec, stacked, expand_composites=True)
        if self.composite:
            return self.spec._stack(self.values)
        if self.values:
            return P.stack(*self.values, axis=0)
        dims = self.shape.as_list() if self.shape.is_fully_defined() else []
        return P.fill(shape=(0, *dims), value=0, dtype=self.dtype)


def _start(rows, initializer, nothing):
    """The first accumulated value and the rows that follow it."""
    if initializer is not None:
        return initializer, rows
    if not rows:
        raise OutOfRangeError(None, None, f"Tried to read from index 0 but array size is: 0 ({nothing} of no rows).")
    return rows[0], rows[1:]


def _fold(fn, elems, initializer, parallel_iterations, reverse):
    elems = _converted(fn, elems)
    fn = converted_here(fn)
    _check_parallel(parallel_iterations)
    if _traced(elems):
        from tapeflow.trace import control

        return control.fold(fn, elems, initializer, reverse)
    rows = _rows(elems)[1]
    total, rows = _start(rows[::-1] if reverse else rows, initializer, "an initializer is needed for a fold")
    for row in rows:
        result = fn(total, row)
        nest.assert_same_structure(total, result)
        total = result
    return nest.map_structure(convert_to_tensor, total)


@export("foldl")
@_with_back_prop
def foldl(fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False, name=None):
    """Combine the rows of `elems` from the first to the last: `fn(... fn(fn(initializer, row0), row1) ..., last)`.

    Args:
        fn: a function of what was combined so far and one row.
        elems: a tensor, or a nest of tensors with equal first axes.
        initializer: what to begin with; the first row by default.
        parallel_iterations, swap_memory: accepted.
        back_prop: False stops gradients at the results.

    Example:
        >>> import tapeflow as tf
        >>> int(tf.foldl(lambda a, x: 10 * a + x, tf.constant([1, 2, 3])))
        123
    """
    return _fold(fn, elems, initializer, parallel_iterations, False)


@export("foldr")
@_with_back_prop
def foldr(fn, elems, initializer=None, parallel_iterations=10, back_prop=True, swap_memory=False, name=None):
    """Combine the rows of `elems` from the last to the first; arguments as in `tf.foldl`, `initializer` is the last row by default.

    Example:
        >>> import tapeflow as tf
        >>> int(tf.foldr(lambda a, x: 10 * a + x, tf.constant([1, 2, 3])))
        321
    """
    return _fold(fn, elems, initializer, parallel_iterations, True)


@export("scan")
@_with_back_prop
def scan(
    fn,
    elems,
    initializer=None,
    parallel_iterations=10,
    back_prop=True,
    swap_memory=False,
    infer_shape=True,
    reverse=False,
    name=None,
):
    """As `tf.foldl`, but every combined value is kept, stacked along the first axis.

    Args:
        fn, elems, parallel_iterations, back_prop, swap_memory: as in `tf.foldl`.
        initializer: what to begin with; the first row by default, which then is the first result.
        infer_shape: whether all results must have one shape.
        reverse: whether to begin with the last row; results stay in the order of the rows.

    Example:
        >>> import tapeflow as tf
        >>> tf.scan(lambda a, x: a + x, tf.constant([1, 2, 3])).numpy().tolist()
        [1, 3, 6]
    """
    elems = _converted(fn, elems)
    fn = converted_here(fn)
    _check_parallel(parallel_iterations)
    if _traced(elems):
        from tapeflow.trace import control

        return control.scan(fn, elems, initializer, reverse)
    rows = _rows(elems)[1]
    if initializer is not None:
        initializer = nest.map_structure(convert_to_tensor, initializer)
    total, rest = _start(rows[::-1] if reverse else rows, initializer, "an initializer is needed for a scan")
    columns = [_Column(_spec(x), infer_shape) for x in nest.flatten(total)]
    if initializer is None:
        _append(columns, total)
    for row in rest:
        result = fn(total, row)
        nest.assert_same_structure(total, result)
        total = _append(columns, result)
    if reverse:
        for column in columns:
            column.values.reverse()
    return nest.pack_sequence_as(total, [column.stacked() for column in columns])


def _spec(x):
    return TensorSpec(x.shape, x.dtype) if isinstance(x, Tensor) else x._type_spec


def _append(columns, result):
    """Add one step's results; returns them as tensors."""
    for column, leaf in zip(columns, nest.flatten(result), strict=True):
        column.append(leaf)
    return nest.pack_sequence_as(result, [column.values[-1] for column in columns])
