"""Compares random programs of complex numbers and their gradients with the real TensorFlow, inside and outside of tf.function.

    python tests/conformance/complex_run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--examples N] [--seed N]

The programs are those of `tests/complex_programs.py`. Exit status 1 where any result differs.
"""

import sys

import numpy as np
from two_libraries import compare, not_close

RESULTS = ("value", "dx", "dy", "traced value", "traced dx", "traced dy")


def outcome(tf, program):
    """Value and gradients of one program, eager and traced, each as a list of pairs of floats."""
    import complex_programs

    shape, steps = program
    rng = np.random.default_rng(len(steps))
    x, y = [tf.constant(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) for _ in range(2)]
    function = lambda x, y: complex_programs.gradients(steps, x, y)  # noqa: E731
    traced = tf.function(function, autograph=False)
    found = [np.asarray(tf.convert_to_tensor(part)) for part in (*function(x, y), *traced(x, y))]
    return [[part.real.tolist(), part.imag.tolist()] for part in found]


def strategy():
    """What is drawn."""
    from program_strategies import matrix_programs

    return matrix_programs()


def differences(program, ours, theirs):
    """Which results are not close."""
    return not_close(RESULTS, ours, theirs)


if __name__ == "__main__":
    sys.exit(compare(__file__, outcome, strategy, differences, examples=150))
