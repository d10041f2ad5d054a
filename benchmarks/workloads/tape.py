"""The gradient of x**3 + y**2 with respect to two scalar variables that exist already."""

from measure import best_microseconds
from row import Row

ROW = Row("tape of x**3 + y**2, gradient", peer="torch", faster=4)


def tensorflow(tf):
    x, y = tf.Variable(2.0), tf.Variable(3.0)

    def step():
        with tf.GradientTape() as tape:
            z = x**3 + y**2
        return tape.gradient(z, [x, y])

    assert [float(g) for g in step()] == [12, 6]
    return best_microseconds(step)


def torch(torch):
    x, y = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)

    def step():
        z = x**3 + y**2
        return torch.autograd.grad(z, (x, y))

    assert [float(g) for g in step()] == [12, 6]
    return best_microseconds(step)


def jax(jax):
    x, y = jax.numpy.array(2.0), jax.numpy.array(3.0)
    gradient = jax.grad(lambda x, y: x**3 + y**2, argnums=(0, 1))

    def step():
        return jax.block_until_ready(gradient(x, y))

    assert [float(g) for g in step()] == [12, 6]
    return best_microseconds(step)
