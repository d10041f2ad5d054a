"""How long a training step waits for its batch, which a NumPy function makes in parallel calls.

The function is an inverse FFT of an image, which NumPy computes without the GIL; the step takes its time in matrix products, as
long as the function takes for a batch, so that all of it can be hidden.
"""

import time

from row import Row

ROW = Row("wait for a batch of a parallel map", unit="ms a step", peer="tensorflow", libraries=("tapeflow", "tensorflow"))
STEPS, SIZE = 40, 256


def tensorflow(tf):
    import numpy as np

    images = np.random.default_rng(0).random((STEPS * 4, SIZE, SIZE)).astype(np.complex64)
    weights = np.ones((SIZE * 2, SIZE * 2), np.float32)

    def prepare(image):
        return np.abs(np.fft.ifft2(image)).astype(np.float32)

    def mapped(image):
        return tf.ensure_shape(tf.numpy_function(prepare, [image], tf.float32), [SIZE, SIZE])

    dataset = tf.data.Dataset.from_tensor_slices(images).map(mapped, num_parallel_calls=2).batch(4).prefetch(2)
    start = time.perf_counter()
    for image in images[:8]:
        prepare(image)
    work = (time.perf_counter() - start) / 2

    def step():
        end = time.perf_counter() + work
        while time.perf_counter() < end:
            weights @ weights

    def waits():
        iterator, total = iter(dataset), 0.0
        for _ in range(STEPS):
            start = time.perf_counter()
            next(iterator)
            total += time.perf_counter() - start
            step()
        return total / STEPS * 1e3

    return min(waits() for _ in range(3))
