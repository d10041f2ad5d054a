"""Functions with control flow over tensors, each with inputs: what TensorFlow gives for them is in `autograph/expected.json`.

The module runs on TensorFlow too: `python tests/autograph_cases.py > tests/autograph/expected.json` writes that file.
"""

import json

import tensorflow as tf

CASES = []


def case(*inputs):
    """A decorator: the function is called with each of `inputs`, which is a tuple of values, as tensors."""

    def register(function):
        CASES.append((function, inputs))
        return function

    return register


def as_tensors(values):
    return [tf.constant(value) for value in values]


def outcome(function, values):
    """What a traced function returns, with dtypes, as JSON has it."""
    result = tf.function(function)(*as_tensors(values))
    return [[x.dtype.name, _plain(x.numpy())] for x in tf.nest.flatten(result)]


def _plain(value):
    return value.decode() if isinstance(value, bytes) else value.tolist()


@case((3.0,), (-3.0,))
def absolute(x):
    if x < 0:
        x = -x
    return x


@case((1,), (5,), (-5,))
def three_ways(x):
    if x > 3:
        y = x * 2
    elif x < -3:
        y = -x
    else:
        y = 0
    return y, x


@case((5, 1), (5, 10), (-5, 1))
def nested_returns(x, y):
    if x > 0:
        if y > 3:
            return x
        else:
            return y
    return x + y


@case((10,), (0,), (-3,))
def collatz_like(n):
    steps = 0
    while n > 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return n, steps


@case((6,), (1,), (0,))
def break_and_continue(n):
    total = 0
    for i in tf.range(n):
        if i == 1:
            continue
        if i > 3:
            break
        total += i
    return total


@case((4, 3), (0, 2), (5, 0))
def loops_in_loops(n, m):
    total, inner = 0, 0
    for i in tf.range(n):
        j = 0
        while j < m:
            if (i + j) % 3 == 2:
                j += 2
                continue
            total += i * j
            j += 1
        inner = j
    return total, inner


@case(([1.0, 2.0, 3.0],), ([[1.0, -2.0], [3.0, 4.0]],))
def rows(x):
    total = tf.zeros(x.shape[1:])
    for row in x:
        total = total + row * 2
    return total


@case((5,), (2,))
def target_after_loop(n):
    for i in tf.range(n):
        x = i * 2
    return i, x


@case((0.5,), (1.5,), (-1.0,))
def logic(x):
    a = x > 0 and x < 1
    b = x < 0 or x > 1
    c = not a
    d = 0 < x < 1
    return a, b, c, d, (1.0 if x > 0 else -1.0)


@case(([3, 1, 2],))
def calls_of_builtins(x):
    return int(2.7), len(x), abs(x), float(x[0]), int(x[1]) + 1, sorted(x), max(1, 2), min([3, 4])


@case((4,), (7,))
def counted(n):
    total = 0
    for i in range(n):
        total += i
    for i in range(2, n):
        total += i
    for i in range(n, 0, -2):
        total += 10 * i
    return total


@case((3,))
def array(n):
    squares = tf.TensorArray(tf.int32, size=0, dynamic_size=True)
    for i in tf.range(n):
        squares = squares.write(i, i * i)
    return squares.stack(), squares.size()


@case((3,))
def growing(n):
    v = tf.zeros([1], tf.int32)
    for i in tf.range(n):
        tf.autograph.experimental.set_loop_options(shape_invariants=[(v, tf.TensorShape([None]))])
        v = tf.concat([v, [i]], 0)
    return v


@case((9,), (2,))
def limited(n):
    i = 0
    while i < n:
        tf.autograph.experimental.set_loop_options(maximum_iterations=4)
        i += 1
    return i


@case((2.0,), (-2.0,))
def structures(x):
    pair, table = (x, [x]), {"a": x}
    if x > 0:
        pair = (x + 1, [x + 2])
        table["a"] = x * 3
    else:
        table["a"] = x * 5
    while table["a"] < 10:
        table["a"] = table["a"] + 4
        pair = (pair[0], [pair[1][0] + 1])
    return pair, table


class Counter:
    def __init__(self):
        self.n = tf.constant(0)


@case((3,), (0,))
def attributes(n):
    counter = Counter()
    while n > 0:
        counter.n += n
        n -= 1
    if counter.n > 3:
        counter.n = counter.n * 10
    return counter.n


@case((3,))
def python_loop(x):
    parts = []
    for k in [1, 2, 3]:
        if k == 2:
            continue
        if x > k:
            x = x + k
        parts.append(x)
    i = 0
    while i < 2:
        x = x + i
        i += 1
    return parts, x


@case((3,))
def dataset(n):
    total = tf.constant(0, tf.int64)
    for x in tf.data.Dataset.range(6):
        if x == 4:
            break
        if x % 2 == 0:
            continue
        total += x * tf.cast(n, tf.int64)
    for i, (a, b) in tf.data.Dataset.range(3).map(lambda v: (v, v * v)).enumerate():
        total += i * a * b
    return total


@case((3.0, 4), (3.0, 0))
def gradients(x, n):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        for i in tf.range(n):
            if i % 2 == 0:
                y = y * x
            else:
                y = y + x
    return tape.gradient(y, x)


@case((5,))
def one_iteration_defines(n):
    while n > 0:
        last = n
        n -= 2
    return last


@case((2,), (-2,))
def early_nothing(x):
    y = x
    if x > 0:
        y = y + 1
        if x > 1:
            y = y + 10
    return y


@case(("ab",), ("",))
def strings(text):
    n = tf.strings.length(text)
    if n > 1:
        text = tf.strings.join([text, text])
    return text, n


if __name__ == "__main__":
    found = {function.__name__: [outcome(function, values) for values in inputs] for function, inputs in CASES}
    print("{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in found.items()) + "\n}")
