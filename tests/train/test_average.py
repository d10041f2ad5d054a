"""Moving averages of variables, against their recurrence in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

VALUES = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(VALUES, st.floats(0, 1), st.one_of(st.none(), st.integers(0, 20)), st.booleans())
def test_averages_follow_their_recurrence(values, decay, updates, traced):
    v = tf.Variable(np.float64(values[0]), name="v")
    ema = tf.train.ExponentialMovingAverage(decay, updates)
    ema.apply([v])
    step = tf.function(lambda: ema.apply()) if traced else ema.apply
    wanted = values[0]
    for value in values[1:]:
        v.assign(value)
        step()
        used = (
            np.float32(decay)
            if updates is None
            else np.minimum(np.float32(decay), np.float32((1 + updates) / (10 + updates)))
        )
        wanted -= (wanted - value) * np.float64(np.float32(1) - used)
    np.testing.assert_allclose(ema.average(v).numpy(), wanted, rtol=1e-6, atol=1e-6)


def test_names_and_errors():
    v, number = tf.Variable([1.0], name="some"), tf.Variable(1)
    ema = tf.train.ExponentialMovingAverage(0.9, name="Shadow")
    assert ema.average(v) is None and ema.average_name(v) == "some/Shadow"
    ema.apply([v])
    assert ema.variables_to_restore() == {"some/Shadow": v} and not ema.average(v).trainable
    again = tf.train.ExponentialMovingAverage(0.9, name="Shadow")
    again.apply([v])
    assert again.average_name(v) == "some/Shadow_1"
    with pytest.raises(TypeError, match="half, float, or double"):
        ema.apply([number])
    with pytest.raises(TypeError, match="does not support non-Variable tensors"):
        ema.apply([tf.constant(1.0)])
