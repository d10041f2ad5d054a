"""Calls as plain data, and the Hypothesis strategies of which the tables of cases are made."""

import dataclasses

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from worker import numpy_dtype, pack

FLOATS = ("float32", "float64", "float16", "bfloat16")
WIDE = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
INTS = ("int32", "int64", "int8", "int16", "uint8", "uint16", "uint32", "uint64")
SIGNED = ("int32", "int64", "int8", "int16")
INEXACT = FLOATS + COMPLEX
REALS = FLOATS + INTS
NUMBERS = REALS + COMPLEX
EVERY = (*NUMBERS, "bool")
WITH_STRINGS = (*EVERY, "string")

ORDINARY = [0.0, 1.0, -1.0, 0.5, 2.0, -1.5, 3.25, 0.1, -0.7, 0.3, 2.5, -2.5]
SPECIAL = [float("inf"), float("-inf"), float("nan"), -0.0, 1e-3, 1e4, -1e4]
WORDS = [b"", b"a", b"b", b"hello", "Grüße".encode(), b"A z", b"10", b"-2.5"]


class Raw(str):
    """Python source that stands in a call as it is, such as `tf.float32`."""


@dataclasses.dataclass
class Array:
    """An input with a name: `kind` says whether it is given as a tensor, a variable or a NumPy array."""

    value: np.ndarray
    kind: str = "tensor"

    @property
    def dtype(self):
        """TensorFlow's name of the dtype."""
        return "string" if self.value.dtype == object else self.value.dtype.name


@dataclasses.dataclass
class Call:
    """What both libraries evaluate: `source` over the named `inputs`, differentiated `order` times in the inputs `wrt`."""

    source: str
    inputs: dict
    wrt: list
    order: int = 0
    parts: tuple | None = None  # (name, args, kwargs) where it is one function call: bad input is made of it

    def data(self):
        """The call for the workers."""
        inputs = {name: {**pack(x.value), "kind": x.kind} for name, x in self.inputs.items()}
        return {"source": self.source, "inputs": inputs, "wrt": self.wrt, "order": self.order}

    def python(self):
        """Lines of Python that reproduce it."""
        lines = [f"{name} = {made(x)}" for name, x in self.inputs.items()]
        return "; ".join([*lines, self.source.replace("\n", "\n    ")]) + (
            f"  # gradient in {self.wrt}" if self.order else ""
        )


def made(x):
    """Python source of an input."""
    array = f"np.array({x.value.tolist()!r}, {'object' if x.dtype == 'string' else repr(x.dtype)})"
    if x.dtype not in WITH_STRINGS or x.dtype == "bfloat16":
        array = f"np.array({x.value.astype(np.float64).tolist()!r}).astype(tf.{x.dtype}.as_numpy_dtype)"
    if x.value.size == 0:
        array = f"np.zeros({x.value.shape}, tf.{x.dtype}.as_numpy_dtype)"
    return {"tensor": f"tf.constant({array})", "variable": f"tf.Variable({array})", "numpy": array}[x.kind]


def literal(value, inputs):
    """Python source of an argument; arrays become named inputs."""
    if isinstance(value, Array):
        name = f"x{len(inputs)}"
        inputs[name] = value
        return name
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(literal(item, inputs) for item in value) + "]"
    if isinstance(value, tuple):
        return "(" + "".join(literal(item, inputs) + ", " for item in value) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(item, inputs)}" for key, item in value.items()) + "}"
    return repr(value)


def call(name, *args, order=1, **kwargs):
    """A call of a public function; its float inputs are differentiated `order` times."""
    inputs = {}
    parts = [literal(value, inputs) for value in args]
    parts += [f"{key}={literal(value, inputs)}" for key, value in kwargs.items()]
    return _differentiated(Call(f"{name}({', '.join(parts)})", inputs, [], order, (name, args, kwargs)))


def program(source, order=0, **inputs):
    """An expression, or statements that set `result`, over named inputs."""
    return _differentiated(Call(source, inputs, [], order))


def _differentiated(made_call):
    made_call.wrt = [name for name, x in made_call.inputs.items() if x.kind != "numpy" and is_inexact(x.dtype)]
    made_call.order = min([made_call.order, *map(smooth, made_call.inputs.values())]) if made_call.wrt else 0
    return made_call


def smooth(x):
    """How often to differentiate at such values: formulas part where intermediate results are infinite."""
    if not is_inexact(x.dtype) or x.dtype in COMPLEX:
        return 2
    size = np.abs(x.value.astype(np.float64))
    if not np.all(np.isfinite(size)):
        return 1
    return 0 if np.any(size > 1e4) or np.any((size > 0) & (size < 1e-3)) else 2


def is_inexact(dtype):
    """Whether values of the dtype have gradients."""
    return dtype in INEXACT


@dataclasses.dataclass
class Case:
    """A row: what is called (`draw -> Call`) and how near the answers must be."""

    name: str
    build: object
    tolerance: str = "ulp"  # exact, ulp (elementwise), norm (relative to the largest element)
    ulps: float = 8
    bad: bool = True  # whether bad input is made of its calls
    share: float = 1.0  # of the examples


# Strategies


def values(dtype, special=True, positive=False):
    """The elements of one dtype."""
    if dtype == "bool":
        return st.booleans()
    if dtype == "string":
        return st.sampled_from(WORDS)
    if dtype in INTS:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        plain = [0, 1, 2, 3, 5, 7] + ([] if low == 0 or positive else [-1, -2, -5])
        return st.sampled_from(plain + ([low, high, high - 1, 100] if special and not positive else []))
    pool = [abs(x) for x in ORDINARY] if positive else ORDINARY
    if dtype in COMPLEX:  # without infinities and negative zeros: C libraries differ there
        return st.builds(complex, st.sampled_from(pool), st.sampled_from(pool))
    if special:
        pool = pool + SPECIAL + [float(x) for x in extremes(dtype)]
    return st.sampled_from(pool)


def extremes(dtype):
    """The largest and the smallest normal number."""
    info = ml_dtypes.finfo(numpy_dtype({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)))
    return info.max, -info.max, info.tiny


def shapes(max_rank=3, min_rank=0, empty=True):
    """Shapes of small distinct dimensions, seldom with an empty one."""
    dims = st.sampled_from([2, 3, 1, 5, 4] + ([0] if empty else []))
    return st.lists(dims, min_size=min_rank, max_size=max_rank).map(tuple)


def filled(shape, pool, dtype):
    """An array of a shape whose elements are those of a short list, over and over."""
    array = np.empty(int(np.prod(shape)), numpy_dtype(dtype))
    if array.size:
        with np.errstate(all="ignore"):
            array[:] = [pool[i % len(pool)] for i in range(array.size)]
    return array.reshape(shape)


def array(draw, dtype, shape, special=True, positive=False, kind="tensor"):
    """Draw an input of a dtype and shape."""
    pool = draw(st.lists(values(dtype, special, positive), min_size=1, max_size=7))
    return Array(filled(shape, pool, dtype), kind)


def spread(draw, dtype, shape, scale=1.0, kind="tensor"):
    """Draw an input of all different, moderate elements: for sums of many terms."""
    seed = draw(st.integers(0, 1000))
    random = np.random.RandomState(seed)
    numbers = np.round(random.standard_normal(shape) * scale * 64) / 64
    if dtype in COMPLEX:
        numbers = numbers + 1j * np.round(random.standard_normal(shape) * scale * 64) / 64
    if dtype in INTS:
        numbers = np.abs(np.round(numbers * 5)) if dtype[0] == "u" else np.round(numbers * 5)
    return Array(np.asarray(numbers).astype(numpy_dtype(dtype)), kind)


def pick(draw, *options):
    """One of some options."""
    return draw(st.sampled_from(options))


def axis_of(draw, rank, none=True):
    """An axis of a tensor of a rank, also counted from the end, or None."""
    axes = ([None] if none else []) + list(range(-rank, rank))
    return draw(st.sampled_from(axes or [0]))


def axes_of(draw, rank):
    """Some axes: None, one, or a list without doubles."""
    if not rank or draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from([None, []] if rank == 0 else [None, *range(-rank, rank)]))
    chosen = draw(st.lists(st.integers(0, rank - 1), unique=True, max_size=rank))
    return [i - rank if draw(st.booleans()) else i for i in chosen]


def broadcast_pair(draw, max_rank=3):
    """Two shapes that broadcast together."""
    shape = draw(shapes(max_rank))
    other = tuple(1 if draw(st.integers(0, 3)) == 0 else n for n in shape)
    other = other[draw(st.integers(0, len(other))) :] if draw(st.booleans()) else other
    return (shape, other) if draw(st.booleans()) else (other, shape)


BAD = [None, "a", Raw("[[1], [2, 3]]"), Raw("object()"), -99, 99, 1.5, [], [1, 2], Raw("tf.constant('s')"), True]


def spoiled(draw, good):
    """A call with one argument made bad: of another kind, dtype or shape, or out of range."""
    name, args, kwargs = good.parts
    keys = [*range(len(args)), *kwargs]
    key = draw(st.sampled_from(keys))
    value = args[key] if isinstance(key, int) else kwargs[key]
    if isinstance(value, Array) and draw(st.booleans()):
        if draw(st.booleans()):
            dtype = draw(st.sampled_from(WITH_STRINGS))
            value = array(draw, dtype, value.value.shape, special=False)
        else:
            value = array(draw, value.dtype, draw(shapes(4)), special=False)
    else:
        value = draw(st.sampled_from(BAD))
    if isinstance(key, int):
        args = (*args[:key], value, *args[key + 1 :])
    else:
        kwargs = {**kwargs, key: value}
    return call(name, *args, order=0, **kwargs)
