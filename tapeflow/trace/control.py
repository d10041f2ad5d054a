"""Control flow over symbolic tensors: where `tf.cond`, `tf.while_loop`, `tf.map_fn`, ... go while a graph is traced."""

from tapeflow.base import nest
from tapeflow.base.dtypes import as_dtype, bool_, int32
from tapeflow.base.errors import UnimplementedError
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Spec, Tensor
from tapeflow.trace.loop import repeat
from tapeflow.trace.storage import TracedStorage
from tapeflow.trace.structure import Flow, as_tensor, converted, flatten, leaves_of, pack
from tapeflow.trace.switch import choose

# Branches


def cond(pred, true_fn, false_fn):
    """`tf.cond` of a symbolic predicate.

    Raises:
        TypeError: the branches return different structures or dtypes.
    """
    if pred.dims not in ((), None):
        raise ValueError(
            f"tf.cond needs a scalar predicate, got shape {pred.shape}: tf.reduce_any or tf.reduce_all makes one."
        )
    if pred.dtype is not bool_:
        pred = P.not_equal(pred, P.zeros_like(pred))
    index = P.cast(P.logical_not(pred), dtype=int32)  # programs rely on the order of tracing
    return _branches(index, (true_fn, false_fn), ("true_fn", "false_fn"), "tf.cond")


def switch_case(branch_index, branches, default):
    """`tf.switch_case` of a symbolic index; `branches` is a list of functions, `default` a function."""
    index = P.cast(branch_index, dtype=int32)
    if default is branches[-1]:
        functions = branches
    else:
        outside = P.logical_or(P.less(index, P.zeros_like(index)), P.greater_equal(index, P.constant(value=len(branches))))
        index = P.where(outside, P.constant(value=len(branches)), index)
        functions = [*branches, default]
    names = [f"branch {i}" for i in range(len(functions))]
    return _branches(index, functions, names, "tf.switch_case")


def _branches(index, functions, names, what):
    """Choose between functions without arguments that return nests of one structure."""
    first = []

    def checked(result, name):
        result = converted(result)
        if not first:
            first.append((result, name))
        else:
            _check_alike(first[0], (result, name), what)
        return flatten(result)

    calls = []
    for function, name in zip(functions, names, strict=True):
        calls.append(lambda function=function, name=name: checked(function(), name))
    found = choose(index, (), calls, (), names)
    return pack(first[0][0], found)


def _check_alike(one, other, what):
    """Raise unless two branches return the same structure of the same dtypes."""
    (first, first_name), (second, second_name) = one, other
    text = (
        f"{first_name} and {second_name} arguments to {what} must have the same number, type, and overall structure of return "
        f"values.\n\n{first_name} output: {first}\n{second_name} output: {second}\n\nError details:\n"
    )
    try:
        nest.assert_same_structure(first, second, expand_composites=True)
    except (TypeError, ValueError) as error:
        raise TypeError(text + str(error)) from None
    for a, b in zip(leaves_of(first), leaves_of(second), strict=True):
        if (a is None) != (b is None):
            raise TypeError(f"{text}one branch returns None where the other returns a tensor: {a} and {b}")
        if a is None or isinstance(a, Flow):
            continue
        if as_tensor(a).dtype is not as_tensor(b).dtype:
            raise TypeError(
                f"{text}{a} and {b} have different types: {as_tensor(a).dtype.name} and {as_tensor(b).dtype.name}"
            )


# Loops


def while_loop(cond, body, loop_vars, shape_invariants, maximum_iterations):
    """`tf.while_loop` in a graph."""
    loop_vars = converted(loop_vars)
    values = flatten(loop_vars)
    specs = _loop_specs(loop_vars, values, shape_invariants)
    limited = maximum_iterations is not None
    if limited:
        values = [P.cast(convert_to_tensor(maximum_iterations), dtype=int32), *values]
        specs = [Spec((), int32), *specs]
    last = loop_vars

    def condition(*xs):
        go_on = convert_to_tensor(cond(*pack(loop_vars, xs[limited:])))
        if go_on.dims not in ((), None):
            raise ValueError(f"The condition of tf.while_loop must return a scalar, got shape {go_on.shape}.")
        return [P.logical_and(P.greater(xs[0], P.constant(value=0)), go_on) if limited else go_on]

    def step(*xs):
        nonlocal last
        result = body(*pack(loop_vars, xs[limited:]))
        last = _next_values(loop_vars, result, specs[limited:], body)
        left = [P.sub(xs[0], P.constant(value=1))] if limited else []
        return [*left, *flatten(last)]

    found = repeat(condition, step, values, specs, getattr(body, "__name__", "while"))
    return pack(_with_shapes(loop_vars, last), found[limited:])


def _with_shapes(loop_vars, last):
    """The loop variables, with flows as the body left them: it may know more of their elements' shape."""
    leaves = [b if isinstance(a, Flow) else a for a, b in zip(leaves_of(loop_vars), leaves_of(last), strict=True)]
    return nest.pack_sequence_as(loop_vars, leaves, expand_composites=True)


def _next_values(loop_vars, result, specs, body):
    """What the body of a loop returned, checked against the loop variables."""
    if not isinstance(result, (list, tuple)) or (len(loop_vars) == 1 and nest.is_nested(loop_vars[0]) and len(result) != 1):
        result = (result,) if len(loop_vars) == 1 else result
    if not isinstance(result, (list, tuple)):
        raise TypeError(f"body must return {len(loop_vars)} loop variables as a list or tuple, got {result!r}.")
    nest.assert_same_structure(list(loop_vars), list(result), expand_composites=True, check_types=False)
    leaves = []
    for leaf, like, position in zip(leaves_of(list(result)), leaves_of(list(loop_vars)), range(len(specs)), strict=False):
        if leaf is None or like is None:
            leaves.append(leaf)
            continue
        spec = specs[position]
        tensor = leaf if isinstance(leaf, (Tensor, Flow)) else convert_to_tensor(leaf, dtype_hint=spec.dtype)
        if not isinstance(tensor, Flow):
            _check_step(tensor, spec, like)
        leaves.append(tensor)
    return nest.pack_sequence_as(list(loop_vars), leaves, expand_composites=True)


def _check_step(tensor, spec, before):
    name = getattr(before, "name", None) or "loop variable"
    if tensor.dtype is not spec.dtype:
        raise TypeError(
            f"Input tensor '{name}' enters the loop with dtype {spec.dtype.name}, but has dtype {tensor.dtype.name} after one "
            "iteration. tf.cast keeps it the same."
        )
    if not TensorShape(tensor.dims).is_subtype_of(TensorShape(spec.shape)):
        raise ValueError(
            f"Input tensor '{name}' enters the loop with shape {TensorShape(spec.shape)}, but has shape {tensor.shape} after one "
            "iteration. To allow the shape to vary across iterations, use the `shape_invariants` argument of tf.while_loop to "
            "specify a less-specific shape."
        )


def _loop_specs(loop_vars, values, invariants):
    """The spec that each value of a loop keeps: its own, or what the invariant says of its shape."""
    specs = [x.spec for x in values]
    if invariants is None:
        return specs
    shapes = []
    nest.assert_shallow_structure(invariants, loop_vars) if nest.is_nested(invariants) else None
    for invariant, part in zip(nest.flatten(invariants), nest.flatten_up_to(invariants, loop_vars), strict=True):
        leaves = [leaf for leaf in leaves_of(part) if leaf is not None]
        if isinstance(invariant, TypeSpec) and not isinstance(invariant, TensorSpec):
            shapes += [spec.shape for spec in nest.flatten(invariant, expand_composites=True)]
        elif invariant is None or isinstance(leaves[0], Flow):
            shapes += [TensorShape(as_tensor(leaf).dims) for leaf in leaves]
        else:
            shape = invariant.shape if isinstance(invariant, TensorSpec) else TensorShape(invariant)
            if not shape.is_compatible_with(TensorShape(as_tensor(leaves[0]).dims)):
                raise ValueError(
                    f"The shape invariant specified for {leaves[0]!r} is not compatible with the initial shape of the loop "
                    f"variable. It enters the loop with shape {leaves[0].shape}, but the specified shape invariant is {shape}."
                )
            shapes.append(shape)
    return [Spec(shape._dims, spec.dtype) for shape, spec in zip(shapes, specs, strict=True)]


# Loops over the first axis


def _rows(elems):
    """The number of rows of a nest of tensors, and a function from an index to the nest of the rows there."""
    tensors = nest.flatten(elems)
    if not all(isinstance(x, Tensor) for x in tensors):
        raise UnimplementedError(
            None,
            None,
            "A loop over the rows of ragged or sparse tensors cannot be traced yet; call it outside of tf.function.",
        )
    lists = [P.list_from(x) for x in tensors]
    known = [x.dims[0] for x in tensors if x.dims is not None and x.dims[0] is not None]
    if any(n != known[0] for n in known):
        raise ValueError(f"Dimensions {known[0]} and {known[-1]} are not compatible: elems differ in their first axis.")
    count = known[0] if known else P.list_length(lists[0])

    def row(index):
        rows = [
            P.list_get(x, index, dims=None if tensor.dims is None else tensor.dims[1:])
            for x, tensor in zip(lists, tensors, strict=True)
        ]
        return nest.pack_sequence_as(elems, rows)

    return count, row


def _specs_of(signature):
    specs = []
    for spec in nest.flatten(signature):
        if isinstance(spec, TypeSpec) and not isinstance(spec, TensorSpec):
            raise UnimplementedError(
                None, None, f"A traced loop cannot collect results of {spec} yet; call it outside of tf.function."
            )
        specs.append(spec if isinstance(spec, TensorSpec) else TensorSpec(None, as_dtype(spec)))
    return specs


def _columns(specs, count):
    dynamic = False
    return [TracedStorage.reserved(spec.dtype, count, spec.shape, dynamic) for spec in specs]


def _written(columns, number, leaves):
    """The columns with one more row."""
    written = []
    for column, leaf in zip(columns, leaves, strict=True):
        value = leaf if isinstance(leaf, Tensor) else convert_to_tensor(leaf, column.flow.dtype.element)
        if value.dtype is not column.flow.dtype.element:
            raise TypeError(
                f"TensorArray dtype is {column.flow.dtype.element.name} but Op is trying to write dtype {value.dtype.name}"
            )
        written.append(column.with_flow(column.write(number, value).flow, column.element_shape.merge_with(value.shape)))
    return written


def _loop_over(count, start, step, state, columns):
    """Repeat `step(number, state, columns)`, which gives the next state (a list of tensors) and columns, `count` times."""
    width = len(state)
    last = columns

    def condition(number, *xs):
        return [P.less(number, count)]

    def body(number, *xs):
        nonlocal last
        own = [column.with_flow(flow) for column, flow in zip(columns, xs[width:], strict=True)]
        following, last = step(number, xs[:width], own)
        return [P.add(number, P.constant(value=1)), *following, *[column.flow for column in last]]

    count = convert_to_tensor(count, int32)
    values = [convert_to_tensor(start, int32), *state, *[column.flow for column in columns]]
    found = repeat(condition, body, values, [x.spec for x in values], "rows")
    columns = [column.with_flow(flow) for column, flow in zip(last, found[1 + width :], strict=True)]
    return found[1 : 1 + width], columns


def map_fn(fn, elems, signature, infer_shape):
    """`tf.map_fn` over symbolic elements; `elems` is a nest of tensors, `signature` one of dtypes or specs."""
    count, row = _rows(elems)

    def step(number, state, columns):
        result = fn(row(number))
        nest.assert_same_structure(signature, result)
        return [], _written(columns, number, nest.flatten(result))

    _, columns = _loop_over(count, 0, step, [], _columns(_specs_of(signature), count))
    return nest.pack_sequence_as(signature, [column.stack(None) for column in columns])


def _start(row, count, initializer, reverse):
    """The first accumulated value, and the index of the first row that follows."""
    if initializer is not None:
        return nest.map_structure(convert_to_tensor, initializer), 0
    first = P.sub(convert_to_tensor(count, int32), P.constant(value=1)) if reverse else P.constant(value=0)
    return row(first), 1


def _index(number, count, reverse):
    return P.sub(P.sub(convert_to_tensor(count, int32), P.constant(value=1)), number) if reverse else number


def fold(fn, elems, initializer, reverse):
    """`tf.foldl` (`tf.foldr` where `reverse`) over symbolic elements."""
    count, row = _rows(elems)
    total, first = _start(row, count, initializer, reverse)

    def step(number, state, columns):
        result = fn(nest.pack_sequence_as(total, list(state)), row(_index(number, count, reverse)))
        nest.assert_same_structure(total, result)
        return flatten(result), columns

    found, _ = _loop_over(count, first, step, flatten(total), [])
    return nest.pack_sequence_as(total, list(found))


def scan(fn, elems, initializer, reverse):
    """`tf.scan` over symbolic elements."""
    count, row = _rows(elems)
    total, first = _start(row, count, initializer, reverse)
    flat = flatten(total)
    columns = _columns([TensorSpec(x.shape, x.dtype) for x in flat], count)
    if first:
        columns = _written(columns, _index(P.constant(value=0), count, reverse), flat)

    def step(number, state, columns):
        index = _index(number, count, reverse)
        result = fn(nest.pack_sequence_as(total, list(state)), row(index))
        nest.assert_same_structure(total, result)
        return flatten(result), _written(columns, index, flatten(result))

    _, columns = _loop_over(count, first, step, flat, columns)
    return nest.pack_sequence_as(total, [column.stack(None) for column in columns])
