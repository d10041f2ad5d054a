"""Bitwise ops on integers."""

import operator

import numpy as np

from tapeflow.base.dtypes import INTEGERS, uint8
from tapeflow.ops.family import elementwise


def _shift(function):
    """A shift whose amount is held to [0, bits - 1], where C leaves it undefined."""

    def kernel(x, y):
        return function(x, np.clip(y, 0, x.dtype.itemsize * 8 - 1).astype(x.dtype))

    return kernel


def _population_count(x):
    # Of a negative number NumPy counts the bits of its magnitude.
    return np.bitwise_count(x.view(f"u{x.dtype.itemsize}"))


bitwise_and = elementwise("bitwise_and", operator.and_, None, None, accepts=INTEGERS)
bitwise_or = elementwise("bitwise_or", operator.or_, None, None, accepts=INTEGERS)
bitwise_xor = elementwise("bitwise_xor", operator.xor, None, None, accepts=INTEGERS)
bitwise_invert = elementwise("bitwise_invert", operator.invert, None, accepts=INTEGERS)
left_shift = elementwise("left_shift", _shift(np.left_shift), None, None, accepts=INTEGERS)
right_shift = elementwise("right_shift", _shift(np.right_shift), None, None, accepts=INTEGERS)
population_count = elementwise("population_count", _population_count, None, accepts=INTEGERS, result=uint8)
