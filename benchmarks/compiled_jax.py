"""The programs in JAX's words: each is one `jax.jit`, a train step gives its state to the next."""

import jax
from jax import lax, nn
from jax import numpy as jnp

from compiled_programs import EPSILON, HEADS, MEAN_DECAY, RATE, SQUARE_DECAY


def build(code, variant, weights, data):
    """A function without arguments that runs the program once and gives its result, when that is computed."""
    if code == "collatz":
        jax.config.update("jax_enable_x64", True)  # its numbers leave int32
    data = [jnp.asarray(array) for array in data]
    if weights:
        return train(globals()[code], [jnp.asarray(w) for w in weights], data)
    function = jax.jit(globals()[code])
    return lambda: jax.block_until_ready(function(*data))


def train(loss_of, weights, data):
    def step(weights, means, squares, count, *data):
        loss, gradients = jax.value_and_grad(loss_of)(weights, *data)
        count = count + 1
        rate = RATE * jnp.sqrt(1 - SQUARE_DECAY**count) / (1 - MEAN_DECAY**count)
        means = [m + (g - m) * (1 - MEAN_DECAY) for m, g in zip(means, gradients, strict=True)]
        squares = [s + (g * g - s) * (1 - SQUARE_DECAY) for s, g in zip(squares, gradients, strict=True)]
        moved = [w - rate * m / (jnp.sqrt(s) + EPSILON) for w, m, s in zip(weights, means, squares, strict=True)]
        return moved, means, squares, count, loss

    step = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    state = [weights, *[[jnp.zeros_like(w) for w in weights] for _ in range(2)], jnp.float32(0)]

    def run():
        *state[:], loss = step(*state, *data)
        return loss.block_until_ready()

    return run


def scalar(x):
    return x**2 + jnp.sin(x)


def collatz(n):
    def body(state):
        n, steps = state
        return jnp.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

    return lax.while_loop(lambda state: state[0] != 1, body, (n, 0))[1]


@jax.grad
def gelu(x):
    return (nn.gelu(x, approximate=False) * jnp.tanh(x) + jnp.exp(-x * x)).sum()


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], 1))


def mlp(weights, x, y):
    w1, b1, w2, b2 = weights
    return cross_entropy(nn.relu(x @ w1 + b1) @ w2 + b2, y)


def cnn(weights, x, y):
    k1, b1, k2, b2, w, b = weights
    h = x
    for kernel, offset in (k1, b1), (k2, b2):
        h = nn.relu(lax.conv_general_dilated(h, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + offset)
        h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return cross_entropy(h.reshape(len(h), -1) @ w + b, y)


def normalised(x, gain, offset):
    return nn.standardize(x, epsilon=1e-5) * gain + offset


def transformer(weights, x):
    wq, bq, wo, bo, w1, b1, w2, b2, g1, o1, g2, o2 = weights
    batch, length, width = x.shape
    parts = (normalised(x, g1, o1) @ wq + bq).reshape(batch, length, 3, HEADS, width // HEADS)
    q, k, v = parts.transpose(2, 0, 3, 1, 4)
    seen = nn.softmax(q @ k.swapaxes(2, 3) * (width // HEADS) ** -0.5) @ v
    x = x + seen.swapaxes(1, 2).reshape(batch, length, width) @ wo + bo
    x = x + nn.gelu(normalised(x, g2, o2) @ w1 + b1, approximate=False) @ w2 + b2
    return jnp.mean(jnp.square(x))


def lstm(weights, x):
    wx, wh, b = weights

    def body(state, part):
        h, c = state
        new, enter, forget, leave = jnp.split(part @ wx + h @ wh + b, 4, 1)
        c = nn.sigmoid(forget) * c + nn.sigmoid(enter) * jnp.tanh(new)
        return (nn.sigmoid(leave) * jnp.tanh(c), c), None

    zeros = jnp.zeros((x.shape[1], wh.shape[0]))
    (h, _), _ = lax.scan(body, (zeros, zeros), x)
    return jnp.mean(jnp.square(h))
