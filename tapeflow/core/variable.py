"""`Variable`: the one thing that changes. Reading it gives tensors; assigning never changes a tensor that was read."""

import enum
import functools
import inspect
import itertools
import sys

import numpy as np

from tapeflow.base.dtypes import as_dtype
from tapeflow.base.errors import invalid
from tapeflow.base.shape import TensorShape
from tapeflow.core.composite import Composite, unsupported
from tapeflow.core.convert import READERS, convert_to_tensor
from tapeflow.core.primitive import P, Primitive, bind, is_large
from tapeflow.core.record import watch_reading
from tapeflow.core.state import ongoing, scoped, state
from tapeflow.core.tensor import Spec, Tensor, ndarray, wrap
from tapeflow.core.tracking import Trackable

_serial = itertools.count()


class VariableSynchronization(enum.Enum):
    """When replicas agree on a variable; one process has one replica, so it is only remembered."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


class VariableAggregation(enum.Enum):
    """How replicas' updates are combined; one process has one replica, so it is only remembered."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3


class _Creation(type):
    """What `tf.Variable(...)` calls: the open `tf.variable_creator_scope`s, innermost first, then the class itself."""

    def __call__(cls, *args, **kwargs):
        if not state.creators or cls is not Variable:
            return super().__call__(*args, **kwargs)
        bound = cls.__signature__.bind(*args, **kwargs)
        bound.apply_defaults()
        create = super().__call__
        for creator in state.creators:
            create = functools.partial(creator, create)
        return create(**bound.arguments)

    @property
    def __signature__(cls):
        """What `inspect.signature(tf.Variable)` shows: the arguments of `__init__`."""
        signature = inspect.signature(cls.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class Variable(Trackable, metaclass=_Creation):
    """A tensor-valued state that can be assigned.

    Args:
        initial_value: a value for `tf.convert_to_tensor`, or a callable that returns one.
        trainable: whether tapes watch it by themselves; True by default (False for `synchronization=ON_READ`).
        validate_shape: ignored; `shape=tf.TensorShape(None)` lets later assignments change the shape.
        name: its name; `:0` is added, as in TensorFlow.
        dtype: the dtype; the value's own by default.
        constraint: a function of the value that optimizers apply after an update.
        shape: the shape that assigned values must fit; unknown dimensions are allowed.

    Raises:
        ValueError: there is no initial value, or it does not fit `shape`.

    Example:
        >>> import tapeflow as tf
        >>> v = tf.Variable([1.0, 2.0])
        >>> v.assign_add([0.5, 0.5]).numpy().tolist()
        [1.5, 2.5]
    """

    __array_priority__ = 101
    hot_update = None  # hot_update(variable, how, delta) adds or subtracts in place by native code, or gives False

    def __init__(
        self,
        initial_value=None,
        trainable=None,
        validate_shape=True,
        caching_device=None,
        name=None,
        variable_def=None,
        dtype=None,
        import_scope=None,
        constraint=None,
        synchronization=VariableSynchronization.AUTO,
        aggregation=VariableAggregation.NONE,
        shape=None,
        experimental_enable_variable_lifting=True,
    ):
        if initial_value is None:
            raise ValueError(
                "The `initial_value` argument to `tf.Variable` is needed: give a tensor, a number or a callable."
            )
        if constraint is not None and not callable(constraint):
            raise ValueError(f"The `constraint` argument must be None or a callable, got {constraint!r}.")
        if callable(initial_value):
            initial_value = initial_value()
        tensor = convert_to_tensor(initial_value, dtype)
        if tensor.__class__ is not Tensor:
            if isinstance(tensor, Composite):
                raise unsupported(tensor)
            raise ValueError(
                f"A variable needs an initial value that is known when it is created, got the symbolic tensor {tensor.name}. "
                "Wrap it in tf.init_scope or a lambda."
            )
        if trainable is None:
            trainable = synchronization != VariableSynchronization.ON_READ
        self._trainable = bool(trainable)
        self._watchable = self._trainable  # also where a tape was told to watch it
        self._dtype = tensor._dtype
        self._shape = _declared_shape(shape, tensor)
        self._name = "/".join([*state.scopes, name or "Variable"])
        self._serial = next(_serial)
        self._constraint = constraint
        self._synchronization = _mode(VariableSynchronization, synchronization, "synchronization", name)
        self._aggregation = _mode(VariableAggregation, aggregation, "aggregation", name)
        # The initial value may be read elsewhere, so the variable has its own tensor around the same data.
        self._tensor = wrap(tensor._value)

    # What it is

    dtype = property(lambda self: self._dtype, doc="The `DType`.")
    trainable = property(lambda self: self._trainable, doc="Whether tapes watch it by themselves.")
    constraint = property(lambda self: self._constraint, doc="The function that optimizers apply after an update.")
    synchronization = property(lambda self: self._synchronization)
    aggregation = property(lambda self: self._aggregation)
    shape = property(lambda self: self._shape, doc="The declared `TensorShape`.")
    name = property(lambda self: f"{self._name}:0", doc="The name, with `:0`.")
    device = property(lambda self: "/job:localhost/replica:0/task:0/device:CPU:0")
    handle = property(lambda self: self, doc="What identifies the variable to tapes: itself.")
    graph = property(lambda self: None)
    op = property(lambda self: self)
    create = initializer = property(lambda self: None)

    @property
    def _shared_name(self):
        return self._name

    _handle_name = name

    @property
    def _unique_id(self):
        return f"{self._name}_{self._serial}"

    def get_shape(self):
        """The declared `TensorShape`."""
        return self._shape

    # Reading

    def _read(self):
        """The tensor that operators and ops use: one tensor for as long as nothing is assigned."""
        if not ongoing:
            return self._tensor
        active = state.active
        tensor = self._tensor if active.plain or state.graph is None else bind(read_variable, (), {"variable": self})
        if self._watchable:
            mark = tensor._mark
            if mark is None or mark.watchers is not active.ids:
                watch_reading(self, tensor, active)
        return tensor

    def value(self):
        """The current value as a tensor of its own: a gradient with respect to it is this reading's alone."""
        tensor = self._read()
        return P.identity(tensor) if state.recorders else tensor

    read_value = value

    def __tf_tensor__(self, dtype=None, name=None):
        tensor = self._read()
        if dtype is not None and as_dtype(dtype) is not self._dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {as_dtype(dtype).name} for Tensor with dtype {self._dtype.name}: {self!r}"
            )
        return tensor

    def numpy(self):
        """A NumPy copy of the value."""
        if state.graph is not None:
            raise NotImplementedError("numpy() is only available when eager execution is enabled.")
        return self._read().numpy()

    def initialized_value(self):
        """The value: variables are initialised when they are made."""
        return self.value()

    def is_initialized(self, name=None):
        """True."""
        return convert_to_tensor(True)

    def eval(self, session=None):
        """Raises RuntimeError: there are no sessions. `numpy()` gives the value."""
        raise RuntimeError("This operation is not supported when eager execution is enabled: x.numpy() gives the value.")

    # Assigning

    def assign(self, value, use_locking=False, name=None, read_value=True):
        """Replace the value; raises ValueError where the shape does not fit. Returns the variable."""
        return self._update("assign", value)

    def assign_add(self, delta, use_locking=False, name=None, read_value=True):
        """Add `delta` to the value. Returns the variable."""
        return self._update("add", delta)

    def assign_sub(self, delta, use_locking=False, name=None, read_value=True):
        """Subtract `delta` from the value. Returns the variable."""
        return self._update("sub", delta)

    def _update(self, how, value):
        if value.__class__ is not Tensor or value._dtype is not self._dtype:
            value = convert_to_tensor(value, self._dtype)
        if scoped and state.scope is not None:
            self._check_shape(how, value)
            bind(update_variable, (value,), {"variable": self, "how": how})
            return self
        new = value._value
        if new.shape != (self._shape._dims if how == "assign" else self._tensor._value.shape):
            self._check_shape(how, value)
        if is_large(new) and self.hot_update is not None and self.hot_update(self, how, value):
            return self
        self._store(how, new)
        return self

    def _store(self, how, new):
        """Set the value from a NumPy value; in place where no tensor or view shares the buffer."""
        old = self._tensor._value
        if how == "assign":
            if new.__class__ is ndarray and not new.flags.owndata:
                new = new.copy()  # a view would keep, and see, another tensor's buffer
            self._tensor = wrap(new)
            return
        if old.__class__ is ndarray and old.flags.owndata and _references(self, old) == SOLE:
            try:  # noqa: SIM105 - `suppress` costs as much as a small addition
                (np.add if how == "add" else np.subtract)(old, new, out=old)
            except (RuntimeWarning, FloatingPointError):
                pass  # the user made warnings errors: NumPy raises them when all is computed
            self._tensor._mark = None
            return
        with np.errstate(all="ignore"):
            self._tensor = wrap(old + new if how == "add" else old - new)

    def _change(self, function):
        """Let `function(array)` change the value's array in place; a copy of it where a tensor or view shares it."""
        old = self._tensor._value
        # `function` reshapes, which must not copy: hence c_contiguous.
        if old.__class__ is ndarray and old.flags.owndata and old.flags.c_contiguous and _references(self, old) == SOLE:
            function(old)
            self._tensor._mark = None
            return
        new = np.array(old, order="C")
        function(new)
        self._tensor = wrap(new)

    def _check_shape(self, how, value):
        dims = value.dims
        declared = self._shape._dims
        if how == "assign":
            if dims == declared or dims is None or self._shape.is_compatible_with(value.shape):
                return
        elif dims == self._tensor.dims or dims is None or None in dims:
            return
        if how != "assign":
            raise invalid(
                f"assign_{how}",
                f"Cannot update variable with shape {self._tensor.shape} using a Tensor with shape {value.shape}, shapes must be "
                f"equal: {self.name}",
            )
        raise ValueError(
            f"Cannot assign value to variable '{self.name}': Shape mismatch. The variable {self._name!r} has shape {self._shape}, "
            f"the value {value.shape}."
        )

    # For checkpoints

    def _serialize_to_tensors(self):
        return {"VARIABLE_VALUE": self._read()}

    def _restore_from_tensors(self, restored_tensors):
        """Take the value, whose shape and dtype fit."""
        return self.assign(restored_tensors["VARIABLE_VALUE"])

    # Python protocols

    def __deepcopy__(self, memo):
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__.update(self.__dict__)
        copy._tensor = wrap(self._tensor._value)
        copy._serial = next(_serial)
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        return _rebuild, (self._tensor, self._trainable, self._name, self._shape._dims)

    def __repr__(self):
        return f"<tf.Variable '{self.name}' shape={self._shape} dtype={self._dtype.name}, numpy={_shown(self._tensor)}>"


def _references(variable, array):
    """How often a variable's tensor and its array are held; more than `SOLE` where a tensor or a view shares the buffer."""
    return sys.getrefcount(variable._tensor), sys.getrefcount(array)


def _measure_sole():
    """The reference counts of a buffer that only its variable holds, taken as `_store` takes them: interpreters differ."""

    class Probe:
        _tensor = None

        def store(self):
            old = self._tensor._value
            return _references(self, old)

    probe = Probe()
    probe._tensor = wrap(np.zeros(1))
    return probe.store()


SOLE = _measure_sole()
READERS[Variable] = Variable._read


def _rebuild(tensor, trainable, name, shape):
    return Variable(tensor, trainable=trainable, name=name, shape=TensorShape(shape))


def _shown(tensor):
    text = repr(tensor._value.item() if tensor.dims == () else tensor._value)
    return "\n" + text if "\n" in text else text


def _mode(kind, value, what, name):
    """A member of an enum, by itself or its number."""
    if value is None or isinstance(value, kind):
        return value
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"Invalid variable {what} mode: {value} for variable: {name}") from None


def _declared_shape(shape, tensor):
    if shape is None:
        return tensor.shape
    declared = TensorShape(shape)
    if not declared.is_compatible_with(tensor.shape):
        raise ValueError(
            f"The initial value's shape ({tensor.shape}) is not compatible with the given `shape` ({declared})."
        )
    return declared


def _read_infer(*, variable):
    return Spec(variable._shape._dims, variable._dtype)


def _update_infer(value, *, variable, how):
    return Spec(variable._shape._dims, variable._dtype)


def _update_kernel(value, *, variable, how):
    variable._store(how, value)
    return variable._tensor._value


read_variable = Primitive(
    "read_variable", lambda *, variable: variable._tensor._value, _read_infer, stateful=True, uniform=False, parameters=()
)
update_variable = Primitive("update_variable", _update_kernel, _update_infer, stateful=True, uniform=False)
