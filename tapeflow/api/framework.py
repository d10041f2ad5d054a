"""The mode that ops run in (eager or traced), and the scopes around them: names, devices, dependencies, creators."""

import contextlib
import threading

from tapeflow.api.device import DeviceSpec
from tapeflow.api.export import export, export_value
from tapeflow.base import nest
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.graph import Node
from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.trace.func_graph import Graph
from tapeflow.trace.tracing import outside

export_value(Node, "Operation")
export_value(Graph, "Graph")


@export("executing_eagerly")
def executing_eagerly():
    """Whether ops run at once: False while a function or graph is traced.

    Example:
        >>> import tapeflow as tf
        >>> tf.executing_eagerly()
        True
    """
    return state.graph is None


@export("inside_function")
def inside_function():
    """Whether a function is being traced."""
    return state.graph is not None and state.graph.building_function


@export("init_scope")
@contextlib.contextmanager
def init_scope():
    """Within the context ops run outside of every function that is being traced, and no tape records them.

    Example:
        >>> import tapeflow as tf
        >>> with tf.init_scope():
        ...     tf.executing_eagerly()
        True
    """
    with outside():
        yield


@export("name_scope")
class name_scope:
    """A context that puts `name/` before the names of variables and ops made in it.

    A name that ends in `/` stands for itself, whatever scope is open; the empty name closes all scopes. The context's
    value is the whole scope, with a `/` behind.

    Raises:
        ValueError: the name is no string.

    Example:
        >>> import tapeflow as tf
        >>> with tf.name_scope("layer") as scope:
        ...     v = tf.Variable(1.0, name="w")
        >>> scope, v.name
        ('layer/', 'layer/w:0')
    """

    def __init__(self, name):
        if not isinstance(name, str):
            raise ValueError(f"name for name_scope must be a string, got {name!r}.")
        self._name = name
        self._before = []

    name = property(lambda self: self._name, doc="The name as it was given.")

    def __enter__(self):
        before = state.scopes
        if not self._name:
            scopes = ()
        elif self._name.endswith("/"):
            scopes = tuple(self._name[:-1].split("/"))
        else:
            scopes = (*before, *self._name.split("/"))
            if state.graph is not None:
                scopes = tuple(state.graph.unique_name("/".join(scopes)).split("/"))
        self._before.append(before)
        state.scopes = scopes
        return "/".join(scopes) + "/" if scopes else ""

    def __exit__(self, *exc):
        state.scopes = self._before.pop()


@export("get_current_name_scope")
def get_current_name_scope():
    """The open name scope, without a `/` behind; empty where there is none.

    Example:
        >>> import tapeflow as tf
        >>> with tf.name_scope("a"), tf.name_scope("b"):
        ...     tf.get_current_name_scope()
        'a/b'
    """
    return "/".join(state.scopes)


@export("device")
@contextlib.contextmanager
def device(device_name):
    """A context that asks for a device. There is one, the CPU: names of other kinds are accepted and compute there too.

    Args:
        device_name: a name such as `"/CPU:0"`, a `tf.DeviceSpec`, or None.

    Raises:
        ValueError: the name cannot be read.
        InvalidArgumentError: the name is of another machine's device.
    """
    if callable(device_name):
        raise RuntimeError("tf.device does not support functions.")
    if device_name is not None and not isinstance(device_name, (str, DeviceSpec)):
        raise ValueError(f"Expecting a string device name. Got {type(device_name)}({device_name})")
    spec = DeviceSpec.from_string(device_name) if isinstance(device_name, str) else device_name or DeviceSpec()
    if spec.job not in (None, "localhost") or spec.replica or spec.task:
        raise InvalidArgumentError(
            None, None, f"{spec.to_string()} unknown device: only /job:localhost/replica:0/task:0 exists."
        )
    yield


@export("control_dependencies")
@contextlib.contextmanager
def control_dependencies(control_inputs):
    """A context whose ops run after `control_inputs`. Ops always run in program order, so that nothing is left to do.

    Args:
        control_inputs: a list of tensors or ops, or None; callables in it are called first when executing eagerly.
    """
    for control in control_inputs or ():
        if callable(control) and not isinstance(control, Tensor) and state.graph is None:
            control()
    yield


@export("group")
def group(*inputs, **kwargs):
    """An op that is done when all inputs are; ops run in program order, so that it is None.

    Raises:
        ValueError: a keyword argument other than `name`.
    """
    unknown = [key for key in kwargs if key != "name"]
    if unknown:
        raise ValueError(f"Unknown keyword arguments: {', '.join(unknown)}; tf.group takes `name` only.")


@export("no_op")
def no_op(name=None):
    """An op that does nothing; None, as in TensorFlow's eager execution."""


@export("tuple")
def tuple_(tensors, control_inputs=None, name=None):
    """The tensors as a list, each of them computed once all are.

    Example:
        >>> import tapeflow as tf
        >>> [None if x is None else int(x) for x in tf.tuple([tf.constant(1), None])]
        [1, None]
    """
    return [None if x is None else x if isinstance(x, IndexedSlices) else P.identity(convert_to_tensor(x)) for x in tensors]


@export("variable_creator_scope")
@contextlib.contextmanager
def variable_creator_scope(variable_creator):
    """A context in which `tf.Variable(...)` calls `variable_creator(next_creator, **arguments)`.

    The creator may change the arguments, call `next_creator(**arguments)` or return something else. Inner scopes come
    first.

    Example:
        >>> import tapeflow as tf
        >>> def renamed(next_creator, **arguments):
        ...     return next_creator(**{**arguments, "name": "renamed"})
        >>> with tf.variable_creator_scope(renamed):
        ...     tf.Variable(1.0).name
        'renamed:0'
    """
    before = state.creators
    state.creators = (*before, variable_creator)
    try:
        yield
    finally:
        state.creators = before


@export("get_logger")
def get_logger():
    """The logger of the package: `tf.get_logger().setLevel("ERROR")` silences its warnings."""
    import logging  # not needed to import the package

    return logging.getLogger("tapeflow")


@export("is_symbolic_tensor")
def is_symbolic_tensor(tensor):
    """Whether `tensor` belongs to a graph that is being traced and has no value yet."""
    return isinstance(tensor, Tensor) and tensor.__class__ is not Tensor


@export("timestamp")
def timestamp(name=None):
    """The seconds since the epoch, as a float64 scalar."""
    return P.timestamp()


@export("AggregationMethod")
class AggregationMethod:
    """How gradients of one tensor are added up; they are added as they come, whichever is asked for."""

    ADD_N = DEFAULT = 0
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


@export("CriticalSection")
class CriticalSection:
    """A section of code that one thread at a time executes.

    Example:
        >>> import tapeflow as tf
        >>> section, v = tf.CriticalSection(), tf.Variable(1.0)
        >>> float(section.execute(lambda: v.assign_add(2.0).value()))
        3.0
    """

    def __init__(self, name=None, shared_name=None, critical_section_def=None, import_scope=None):
        self.name = name or "critical_section"
        self._lock = threading.RLock()

    def execute(self, fn, exclusive_resource_access=True, name=None):
        """`fn()`, as tensors, while no other thread is within the section.

        Raises:
            ValueError: `fn` is not callable.
        """
        if not callable(fn):
            raise ValueError(f"fn must be callable, got {fn!r}.")
        with self._lock:
            return nest.map_structure(lambda x: x if x is None else convert_to_tensor(x), fn())
