"""`tf.debugging`: assertions on values, and the check of every result for NaN and infinities."""

import functools

import ml_dtypes
import numpy as np

from tapeflow.api.config import settings
from tapeflow.api.export import export
from tapeflow.base.dtypes import BY_NUMPY
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.compile.eager import set_steady
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import PRIMITIVES, P
from tapeflow.core.state import ongoing
from tapeflow.core.tensor import Tensor

# Assertions on values. Eagerly they are told at once; while tracing they become a node that tells at run time.


@export("debugging.Assert", "Assert")
def Assert(condition, data, summarize=None, name=None):
    """Raise unless `condition` is true.

    Args:
        condition: a boolean scalar.
        data: what to show: a list of tensors and strings.
        summarize: how many elements to show of each; 3 by default, -1 shows all.

    Raises:
        InvalidArgumentError: the condition is false.
        TypeError: `data` is no sequence.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.Assert(tf.constant(1) < 2, ["never shown"])
    """
    if not isinstance(data, (list, tuple, str, Tensor, np.ndarray)):
        raise TypeError("values must be a sequence.")
    summarize = 3 if summarize is None else summarize
    if isinstance(condition, Tensor) and condition.__class__ is not Tensor:
        _assert_later(condition, data, summarize)
    elif not condition:
        shown = [_listed(x, summarize) if isinstance(x, Tensor) else _shown(x, summarize) for x in data]
        raise InvalidArgumentError(None, None, f"Expected '{condition!s}' to be true. Summarized data: " + "\n".join(shown))


def _assert_later(condition, data, summarize):
    tensors = [x for x in data if not isinstance(x, (str, bytes))]
    texts = tuple([x if isinstance(x, str) else x.decode() if isinstance(x, bytes) else None for x in data])
    P.assert_that(P.all(condition), *map(convert_to_tensor, tensors), texts=texts, summarize=summarize)


def _listed(tensor, count):
    """Elements with commas between, as `Assert` shows them."""
    flat = np.ravel(tensor._value)
    shown = [str(x) for x in (flat if count < 0 else flat[:count])]
    return ", ".join(shown + ["..."] * (len(shown) < flat.size))


def _shown(value, count):
    return str(value.encode()) if isinstance(value, str) else str(value)


SYMBOLS = {"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}


def _compare(op, x, y, message, summarize):
    x, y = convert_to_tensor(x), convert_to_tensor(y)
    held = getattr(P, op)(x, y)
    if held.__class__ is Tensor:
        if not np.all(held._value):
            raise InvalidArgumentError(None, None, _difference(op, x, y, held, message, summarize))
        return
    data = [f"Condition x {SYMBOLS[op]} y did not hold element-wise:", "x =", x, "y =", y]
    Assert(P.all(held), [message, *data] if message else data, summarize)


def _difference(op, x, y, held, message, summarize):
    """The text that shows where two tensors do not compare as they should."""
    count = 3 if summarize is None else summarize if summarize >= 0 else np.size(held._value)
    a, b, held = np.asarray(x._value), np.asarray(y._value), np.asarray(held._value)
    lines = [message] if message else []
    lines.append(f"Condition x {SYMBOLS[op]} y did not hold.")
    if a.shape == b.shape and a.ndim:
        places = np.argwhere(~held)[:count]
        lines.append(f"Indices of first {len(places)} different values:\n{places}")
        where = tuple(places.T)
        lines.append(f"Corresponding x values:\n{a[where]}\nCorresponding y values:\n{b[where]}")
    for name, array in (("x", a), ("y", b)):
        first = array.reshape(-1)[:count]
        lines.append(f"First {len(first)} elements of {name}:\n{first}")
    return "\n".join(lines)


@export("debugging.assert_equal", "assert_equal")
def assert_equal(x, y, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x == y` everywhere, after broadcasting.

    Args:
        x, y: tensors of one dtype.
        message: what to say first.
        summarize: how many elements to show; 3 by default, -1 shows all.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.assert_equal([1, 2], [1, 3])
        Traceback (most recent call last):
        ...
        tapeflow.base.errors.InvalidArgumentError: Condition x == y did not hold.
        Indices of first 1 different values:
        [[1]]
        Corresponding x values:
        [2]
        Corresponding y values:
        [3]
        First 2 elements of x:
        [1 2]
        First 2 elements of y:
        [1 3]
    """
    if x is not y or isinstance(x, (list, float)):
        _compare("equal", x, y, message, summarize)


@export("debugging.assert_none_equal")
def assert_none_equal(x, y, summarize=None, message=None, name=None):
    """Raise InvalidArgumentError unless `x != y` everywhere."""
    _compare("not_equal", x, y, message, summarize)


@export("debugging.assert_less", "assert_less")
def assert_less(x, y, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x < y` everywhere."""
    _compare("less", x, y, message, summarize)


@export("debugging.assert_less_equal")
def assert_less_equal(x, y, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x <= y` everywhere."""
    _compare("less_equal", x, y, message, summarize)


@export("debugging.assert_greater", "assert_greater")
def assert_greater(x, y, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x > y` everywhere."""
    _compare("greater", x, y, message, summarize)


@export("debugging.assert_greater_equal")
def assert_greater_equal(x, y, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x >= y` everywhere."""
    _compare("greater_equal", x, y, message, summarize)


def _compare_with_zero(op, x, message, summarize):
    x = convert_to_tensor(x)
    held = getattr(P, op)(x, P.zeros_like(x))
    text = f"Condition x {SYMBOLS[op]} 0 did not hold element-wise:"
    if held.__class__ is not Tensor:
        Assert(P.all(held), [message or "", text, "x =", x], summarize)
    elif not np.all(held._value):
        flat = [str(n) for n in np.ravel(x._value)]
        count = 3 if summarize is None else summarize if summarize >= 0 else len(flat)
        shown = flat[:count] + ["..."] * (count < len(flat))
        prefix = f"{message}.  " if message else ""
        raise InvalidArgumentError(None, None, f"{prefix}\n{text}\nx (shape={x.shape} dtype={x.dtype.name}) = \n{shown}")


@export("debugging.assert_negative")
def assert_negative(x, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x < 0` everywhere."""
    _compare_with_zero("less", x, message, summarize)


@export("debugging.assert_positive")
def assert_positive(x, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x > 0` everywhere.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.assert_positive([1.0, 2.0])
    """
    _compare_with_zero("greater", x, message, summarize)


@export("debugging.assert_non_negative")
def assert_non_negative(x, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x >= 0` everywhere."""
    _compare_with_zero("greater_equal", x, message, summarize)


@export("debugging.assert_non_positive")
def assert_non_positive(x, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `x <= 0` everywhere."""
    _compare_with_zero("less_equal", x, message, summarize)


@export("debugging.assert_near")
def assert_near(x, y, rtol=None, atol=None, message=None, summarize=None, name=None):
    """Raise InvalidArgumentError unless `|x - y| <= atol + rtol * |y|` everywhere.

    Args:
        x, y: floating point tensors of one dtype.
        rtol, atol: the tolerances; ten times the dtype's epsilon by default.

    Raises:
        ValueError: the dtype has no epsilon.
    """
    x = convert_to_tensor(x)
    y = convert_to_tensor(y, x.dtype)
    epsilon = 10 * float(ml_dtypes.finfo(x.dtype.real_dtype.numpy_dtype).eps)
    rtol = convert_to_tensor(epsilon if rtol is None else rtol, x.dtype)
    atol = convert_to_tensor(epsilon if atol is None else atol, x.dtype)
    held = P.all(P.less_equal(abs(x - y), atol + rtol * abs(y)))
    head = f"{message}.  " if message else ""
    told = [f"{n} (shape={t.shape} dtype={t.dtype.name}) = " for n, t in (("x", x), ("y", y))]
    Assert(
        held,
        [head, f"x and y not equal to tolerance rtol = {rtol!s}, atol = {atol!s}", told[0], x, told[1], y],
        summarize,
    )


@export("debugging.assert_all_finite")
def assert_all_finite(x, message, name=None):
    """`x`, after raising InvalidArgumentError where it holds NaN or an infinity."""
    return check_numerics(x, message)


@export("debugging.check_numerics")
def check_numerics(tensor, message, name=None):
    """`tensor`, after raising InvalidArgumentError where it holds NaN or an infinity; its gradient is checked too.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.check_numerics(tf.constant([1.0, float("nan")]), "loss")
        Traceback (most recent call last):
        ...
        tapeflow.base.errors.InvalidArgumentError: loss : Tensor had NaN values [Op:CheckNumerics]
    """
    return P.check_numerics(convert_to_tensor(tensor), message=message)


def _checked(op, kernel):
    """`kernel` with a look at its results."""

    @functools.wraps(kernel)
    def call(*values, **attrs):
        with np.errstate(all="ignore"):
            result = kernel(*values, **attrs)
        for number, out in enumerate(result if op.multiple else (result,)):
            dtype = BY_NUMPY.get(np.asarray(out).dtype)
            if dtype is not None and (dtype.is_floating or dtype.is_complex) and not np.all(np.isfinite(out)):
                raise _not_finite(op, number, out, values)
        return result

    return call


def _not_finite(op, number, out, values):
    out = np.asarray(out)
    counts = {"NaN": np.isnan(out), "Inf": np.isinf(out)}
    told = "\n".join(f"  # of {kind} elements: {np.count_nonzero(mask)}" for kind, mask in counts.items() if np.any(mask))
    inputs = "\n".join(f"         {i}: {value}" for i, value in enumerate(values))
    kinds = " and ".join(kind for kind, mask in counts.items() if np.any(mask))
    return InvalidArgumentError(
        None,
        None,
        f'\n\n!!! Detected Infinity or NaN in output {number} of eagerly-executing op "{op.name}" !!!\n'
        f"  dtype: {out.dtype}\n  shape: {out.shape}\n{told}\n\n  Input tensors ({len(values)}):\n{inputs}\n\n"
        f" : Tensor had {kinds} values [Op:{op.name}]",
    )


_unchecked: dict = {}
_CHECKING = object()


@export("debugging.enable_check_numerics")
def enable_check_numerics(stack_height_limit=30, path_length_limit=50):
    """From now on raise InvalidArgumentError where an op gives NaN or an infinity; moving elements is not checked.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.enable_check_numerics()
        >>> try:
        ...     tf.constant(1.0) / 0.0
        ... except tf.errors.InvalidArgumentError as error:
        ...     print("Tensor had Inf values" in str(error))
        ... finally:
        ...     tf.debugging.disable_check_numerics()
        True
    """
    ongoing.add(_CHECKING)  # so that nothing takes a way that is only for when nothing goes on
    set_steady(True)
    for op in PRIMITIVES.values():
        if op not in _unchecked and op.lower != "movement" and not op.stateful and op.name != "identity":
            _unchecked[op] = op.kernel
            op.kernel = _checked(op, op.kernel)


@export("debugging.disable_check_numerics")
def disable_check_numerics():
    """End what `enable_check_numerics` began."""
    while _unchecked:
        op, kernel = _unchecked.popitem()
        op.kernel = kernel
    for op in PRIMITIVES.values():
        op.forget_written()
    ongoing.discard(_CHECKING)
    set_steady(settings.deterministic)


# Traceback filtering: whether errors while a function is traced lose the frames of tracing.

_filtering = True


@export("debugging.is_traceback_filtering_enabled")
def is_traceback_filtering_enabled():
    """Whether `enable_traceback_filtering` was the last of the two calls."""
    return _filtering


@export("debugging.enable_traceback_filtering")
def enable_traceback_filtering():
    """Let the traceback of an error in a traced function show the user's frames, not those of tracing: the default."""
    global _filtering
    _filtering = True


@export("debugging.disable_traceback_filtering")
def disable_traceback_filtering():
    """Let the traceback of an error in a traced function show every frame."""
    global _filtering
    _filtering = False
