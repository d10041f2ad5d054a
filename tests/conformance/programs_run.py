"""Compares random programs with control flow and their gradients with the real TensorFlow, inside and outside of tf.function.

    python tests/conformance/programs_run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--examples N] [--seed N]

The programs are those of `tests/programs.py`. Exit status 1 where any result differs.
"""

import sys

import numpy as np
from two_libraries import compare, not_close

RESULTS = ("value", "dx", "dw", "traced value", "traced dx", "traced dw")


def outcome(tf, program):
    """Value and gradients of one program, eager and traced."""
    import programs

    program = as_tuple(program)
    w = tf.Variable([0.9, 0.2, -0.4], dtype=tf.float64)
    x = tf.constant([0.3, -0.7, 1.1], tf.float64)

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = programs.run(program, [x, w.value()])
        return [y, *tape.gradient(y, [x, w], unconnected_gradients="zero")]

    traced = tf.function(gradients, autograph=False)
    return [np.asarray(tf.convert_to_tensor(part)).tolist() for part in (*gradients(x), *traced(x))]


def as_tuple(value):
    """JSON's lists as tuples."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


def strategy():
    """What is drawn."""
    from program_strategies import programs

    return programs()


def differences(program, ours, theirs):
    """Which results are not close."""
    return not_close(RESULTS, ours, theirs)


if __name__ == "__main__":
    sys.exit(compare(__file__, outcome, strategy, differences, examples=150))
