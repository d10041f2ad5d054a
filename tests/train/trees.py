"""Trees of objects with values as plain data, for any library: what checkpoints are made of.

A tree is ["module" or "list" or "dict" or "tuple" or "checkpoint", [[name, tree], ...]] or a leaf: [kind, seed].
"""

import numpy as np

DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int32", "int64", "uint8", "bool", "complex64", "string"]
SHAPES = [[], [2], [3, 5], [0], [1, 2, 3]]
GROUPS = ("module", "list", "dict", "tuple")
NAMES = ["a", "b", "w", "x/y", "z.", "é", "long_name_of_something", "0"]


def strategy(depth=3):
    """A Hypothesis strategy for trees whose root is a module."""
    from hypothesis import strategies as st

    seed = st.integers(0, 1000)
    leaf = st.one_of(
        st.tuples(st.sampled_from(DTYPES), st.sampled_from(SHAPES), seed).map(lambda x: ["variable", *x]),
        seed.map(lambda n: ["table", n]),
        seed.map(lambda n: ["generator", n]),
        seed.map(lambda n: ["python", n]),
    )

    def group(children):
        return st.tuples(
            st.sampled_from(GROUPS),
            st.lists(st.tuples(st.sampled_from(NAMES), children), max_size=4, unique_by=lambda x: x[0]),
        )

    tree = leaf
    for _ in range(depth):
        tree = st.one_of(leaf, group(tree))
    return group(tree).map(lambda found: ["module", found[1]])


def values(kind, shape, seed):
    """The array of a variable."""
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 2 if kind == "bool" else 100, shape)
    if kind == "string":
        return np.array([b"x" * int(n) for n in np.ravel(array)], object).reshape(shape)
    return array


def made(tf, tree, fill=True):
    """The objects of a tree; without `fill` they have other values."""
    kind, *rest = tree
    if kind == "variable":
        dtype, shape, seed = rest
        array = values(dtype, shape, seed)
        if not fill:
            array = np.full(shape, b"" if dtype == "string" else 0, array.dtype)
        array = array.tolist()
        return tf.Variable(array if dtype == "string" else tf.cast(tf.constant(array, shape=shape), dtype), dtype=dtype)
    if kind == "table":
        table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        keys = [str(n) for n in range(rest[0] % 4)] if fill else ["other"]
        if keys:
            table.insert(keys, np.arange(len(keys)) + rest[0])
        return table
    if kind == "generator":
        return tf.random.Generator.from_seed(rest[0] if fill else 0, alg="philox")
    if kind == "python":
        return python_state(tf)(str(rest[0]) if fill else "")
    children = {name: made(tf, child, fill) for name, child in rest[0]}
    if kind == "module":
        module = tf.Module()
        for name, child in children.items():
            setattr(module, name, child)
        return module
    return {"list": lambda: list(children.values()), "tuple": lambda: tuple(children.values()), "dict": lambda: children}[
        kind
    ]()


def python_state(tf):
    """A class whose state is a text."""

    class State(tf.train.experimental.PythonState):
        def __init__(self, text):
            super().__init__()
            self.text = text

        def serialize(self):
            return self.text

        def deserialize(self, string_value):
            self.text = string_value.decode()

    return State


def plain(tf, tree, thing):
    """The values of the objects of a tree, as plain data."""
    kind, *rest = tree
    if kind == "variable":
        array = np.asarray(thing.numpy())
        if thing.dtype != tf.string:
            array = array.astype("complex128")
            array = np.stack([array.real, array.imag])
        return text_of(array.tolist())
    if kind == "table":
        keys, found = thing.export()
        return sorted(zip(text_of(keys.numpy().tolist()), found.numpy().tolist(), strict=True))
    if kind == "generator":
        return thing.state.numpy().tolist()
    if kind == "python":
        return thing.text
    places = range(len(rest[0])) if kind in ("list", "tuple") else [name for name, _ in rest[0]]
    return [
        plain(tf, child, getattr(thing, place) if kind == "module" else thing[place])
        for place, (_, child) in zip(places, rest[0], strict=True)
    ]


def text_of(value):
    """Nested lists with strings in place of bytes."""
    if isinstance(value, list):
        return list(map(text_of, value))
    return value.decode() if isinstance(value, bytes) else value
