"""The sum of two scalars that exist already."""

from measure import best_microseconds
from row import Row

ROW = Row("scalar add", peer="torch", faster=3)


def tensorflow(tf):
    return best_microseconds("a + b", {"a": tf.constant(2.0), "b": tf.constant(3.0)})


def torch(torch):
    return best_microseconds("a + b", {"a": torch.tensor(2.0), "b": torch.tensor(3.0)})


def jax(jax):
    return best_microseconds("(a + b).block_until_ready()", {"a": jax.numpy.array(2.0), "b": jax.numpy.array(3.0)})
