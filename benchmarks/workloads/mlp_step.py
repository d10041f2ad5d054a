"""An eager training step of a 784-128-10 network on 32 images: raw variables, one tape, SGD in place."""

from measure import best_microseconds
from row import Row

ROW = Row("eager MLP step, SGD", peer="torch", faster=1)
RATE = 0.01
FIRST_LOSS, TOLERANCE = 2.4319, 1e-3  # of `arrays()`, in float64


def arrays():
    """Images, labels and the four parameters, the same for every library."""
    import numpy as np

    rng = np.random.default_rng(5)
    images, labels = rng.random((32, 784), np.float32), rng.integers(0, 10, 32)
    w1, w2 = rng.normal(0, 0.05, (784, 128)), rng.normal(0, 0.1, (128, 10))
    return images, labels, [p.astype(np.float32) for p in (w1, np.zeros(128), w2, np.zeros(10))]


def tensorflow_step(tf):
    images, labels, parameters = arrays()
    images, labels = tf.constant(images), tf.constant(labels)
    variables = w1, b1, w2, b2 = [tf.Variable(p) for p in parameters]

    def step():
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(images @ w1 + b1)
            logits = hidden @ w2 + b2
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(RATE * gradient)
        return loss

    return step


def torch_step(torch):
    images, labels, parameters = arrays()
    images, labels = torch.tensor(images), torch.tensor(labels)
    variables = w1, b1, w2, b2 = [torch.tensor(p, requires_grad=True) for p in parameters]

    def step():
        hidden = torch.relu(images @ w1 + b1)
        logits = hidden @ w2 + b2
        loss = torch.nn.functional.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, variables)
        with torch.no_grad():
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.sub_(gradient, alpha=RATE)
        return loss

    return step


def jax_step(jax):
    images, labels, variables = jax.tree.map(jax.numpy.asarray, arrays())

    def loss_of(variables):
        w1, b1, w2, b2 = variables
        hidden = jax.nn.relu(images @ w1 + b1)
        log_probabilities = jax.nn.log_softmax(hidden @ w2 + b2)
        return -log_probabilities[jax.numpy.arange(32), labels].mean()

    def step():
        nonlocal variables
        loss, gradients = jax.value_and_grad(loss_of)(variables)
        variables = [variable - RATE * gradient for variable, gradient in zip(variables, gradients, strict=True)]
        return jax.block_until_ready(loss)

    return step


def checked_microseconds(step):
    assert abs(float(step()) - FIRST_LOSS) < TOLERANCE
    return best_microseconds(step)


def tensorflow(tf):
    return checked_microseconds(tensorflow_step(tf))


def torch(torch):
    return checked_microseconds(torch_step(torch))


def jax(jax):
    return checked_microseconds(jax_step(jax))
