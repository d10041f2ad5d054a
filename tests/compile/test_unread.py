"""What only seems to be read, because a later op needs its shape, is not computed: its kernels would have nowhere to write to."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.compile.executable import compile_graph


@pytest.mark.parametrize("like", [tf.zeros_like, tf.ones_like])
def test_products_whose_shape_alone_is_read(like):
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [2, 3])
        w = tf.compat.v1.placeholder(tf.float32, [3, 5])
        graph.outputs = (like(tf.tanh(tf.matmul(x, w)) * 2.0), x + 1.0)
    for _ in range(2):
        found, other = compile_graph(graph).run([np.ones((2, 3), np.float32), np.ones((3, 5), np.float32)])
        assert found.tolist() == np.full((2, 5), float(like is tf.ones_like)).tolist()
        assert other.tolist() == np.full((2, 3), 2.0).tolist()
