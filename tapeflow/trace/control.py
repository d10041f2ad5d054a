"""Control flow over symbolic tensors: where `tf.cond`, `tf.while_loop`, `tf.map_fn`, ... go while a graph is traced."""


def cond(pred, true_fn, false_fn):
    """`tf.cond` of a symbolic predicate."""
    raise _not_yet("tf.cond")


def switch_case(branch_index, branches, default):
    """`tf.switch_case` of a symbolic index; `branches` is a list of functions, `default` a function."""
    raise _not_yet("tf.switch_case")


def while_loop(cond, body, loop_vars, shape_invariants, maximum_iterations):
    """`tf.while_loop` in a graph."""
    raise _not_yet("tf.while_loop")


def map_fn(fn, elems, signature, infer_shape):
    """`tf.map_fn` over symbolic elements; `elems` is a nest of tensors, `signature` one of dtypes or specs."""
    raise _not_yet("tf.map_fn")


def fold(fn, elems, initializer, reverse):
    """`tf.foldl` (`tf.foldr` where `reverse`) over symbolic elements."""
    raise _not_yet("tf.foldr" if reverse else "tf.foldl")


def scan(fn, elems, initializer, reverse):
    """`tf.scan` over symbolic elements."""
    raise _not_yet("tf.scan")


def tensor_list(dtype, size, element_shape, dynamic_size):
    """The storage of a `tf.TensorArray` indexed by symbolic tensors; see `tapeflow.api.tensor_array.ListStorage`."""
    raise _not_yet("tf.TensorArray")


def _not_yet(name):
    return NotImplementedError(
        f"{name} with tensors that have no value yet is not traced yet: call it outside of the graph."
    )
