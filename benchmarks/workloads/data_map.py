"""A function of a reshape, a division and a one_hot on 10,000 images, then `batch(32).prefetch(2)`."""

from measure import best_microseconds
from row import Row

ROW = Row("map of 10,000 images, batch(32)", unit="ms", peer="tensorflow", faster=5, libraries=("tapeflow", "tensorflow"))
COUNT, BATCH = 10_000, 32


def tensorflow(tf):
    import numpy as np

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (COUNT, 28, 28), np.uint8), rng.integers(0, 10, COUNT)

    def prepare(image, label):
        return tf.reshape(tf.cast(image, tf.float32), [784]) / 255.0, tf.one_hot(label, 10)

    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).map(prepare).batch(BATCH).prefetch(2)

    def epoch():
        batches = sum(images.shape[1] == 784 and labels.shape[1] == 10 for images, labels in dataset)
        assert batches == -(-COUNT // BATCH)

    return best_microseconds(epoch) / 1e3
