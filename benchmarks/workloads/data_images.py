"""A function that standardises each channel of 200 images of 224x224x3, then `batch(16)`."""

from measure import best_microseconds
from row import Row

ROW = Row(
    "map of 200 images to mean 0, batch(16)", unit="ms", peer="tensorflow", faster=1, libraries=("tapeflow", "tensorflow")
)
COUNT, BATCH = 200, 16


def tensorflow(tf):
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (COUNT, 224, 224, 3), np.uint8)

    def standardised(image):
        x = tf.cast(image, tf.float32) / 255.0
        mean = tf.reduce_mean(x, axis=(0, 1))
        return (x - mean) * tf.math.rsqrt(tf.math.reduce_variance(x, axis=(0, 1)) + 1e-5)

    dataset = tf.data.Dataset.from_tensor_slices(images).map(standardised).batch(BATCH)

    def epoch():
        assert sum(len(batch) for batch in dataset) == COUNT

    return best_microseconds(epoch) / 1e3
