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


def test_products_of_transposes_that_are_no_flags():
    """A transpose of one operand becomes a flag, and the operands are told apart as objects."""
    x = np.arange(15, dtype=np.float32).reshape(3, 5) / 7
    f = tf.function(lambda a: tf.matmul(tf.transpose(a) / 2.0, tf.transpose(tf.transpose(a) / 2.0)))
    np.testing.assert_allclose(f(tf.constant(x)), x.T @ x / 4, rtol=1e-5)


def test_a_branch_whose_shapes_do_not_fit_may_not_be_taken():
    spec = tf.TensorSpec([None], tf.float32)

    @tf.function(input_signature=[spec, spec])
    def f(a, b):
        return tf.cond(tf.equal(tf.size(a), tf.size(b)), lambda: a + b * 2.0, lambda: a * 3.0)

    assert f(tf.ones([3]), tf.ones([3])).numpy().tolist() == [3.0, 3.0, 3.0]
    assert f(tf.ones([3]), tf.ones([2])).numpy().tolist() == [3.0, 3.0, 3.0]
