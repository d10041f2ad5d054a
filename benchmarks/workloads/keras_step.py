"""The training step of examples/listings/7_mnist.py in eager Keras: two dense layers, Adam, 32 images.

It is measured within a training, a third of an epoch after its begin: by then small ops have become native.
"""

from functools import partial

import listing
from measure import best_microseconds
from row import Row

ROW = Row("eager Keras step, Adam", peer="tensorflow", faster=5, libraries=("tapeflow", "tensorflow"))


def tensorflow(tf):
    import numpy as np

    rng = np.random.default_rng(5)
    images, labels = tf.constant(rng.random((32, 28, 28))), tf.constant(rng.integers(0, 10, 32).astype(np.uint8))
    train_step = partial(listing.train_step(tf, *listing.parts(tf)), images, labels)
    first = float(train_step())
    assert min(float(train_step()) for _ in range(600)) < first
    return best_microseconds(train_step)
