"""The second derivative of x**4: a gradient taken under another tape."""

from measure import best_microseconds
from row import Row

ROW = Row("second derivative of x**4", peer="torch", faster=4)


def tensorflow(tf):
    x = tf.Variable(2.0)

    def step():
        with tf.GradientTape() as outer_tape:
            with tf.GradientTape() as inner_tape:
                z = x**4
            dz_dx = inner_tape.gradient(z, x)
        return outer_tape.gradient(dz_dx, x)

    assert float(step()) == 48
    return best_microseconds(step)


def torch(torch):
    x = torch.tensor(2.0, requires_grad=True)

    def step():
        z = x**4
        (dz_dx,) = torch.autograd.grad(z, x, create_graph=True)
        (d2z_dx2,) = torch.autograd.grad(dz_dx, x)
        return d2z_dx2

    assert float(step()) == 48
    return best_microseconds(step)


def jax(jax):
    x = jax.numpy.array(2.0)
    second = jax.grad(jax.grad(lambda x: x**4))

    def step():
        return second(x).block_until_ready()

    assert float(step()) == 48
    return best_microseconds(step)
