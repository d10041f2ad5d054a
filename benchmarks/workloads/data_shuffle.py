"""An epoch over 60,000 images of 28 x 28 bytes with labels: `from_tensor_slices(...).shuffle(10000).batch(32)`."""

from measure import best_microseconds
from row import Row

LIBRARIES = ("tapeflow", "tensorflow", "torch")
ROW = Row("MNIST epoch, shuffle(10000).batch(32)", unit="ms", peer="tensorflow", faster=5, libraries=LIBRARIES)
COUNT, BATCH = 60_000, 32


def arrays():
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, 28, 28), np.uint8), rng.integers(0, 10, COUNT)


def epoch_of(batches):
    """A function that goes through all batches, and checks that all are there."""

    def epoch():
        count = sum(1 for _ in batches)
        assert count == COUNT // BATCH

    return epoch


def tensorflow(tf):
    dataset = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(10_000).batch(BATCH)
    return best_microseconds(epoch_of(dataset)) / 1e3


def torch(torch):
    images, labels = map(torch.tensor, arrays())
    dataset = torch.utils.data.TensorDataset(images, labels)
    return best_microseconds(epoch_of(torch.utils.data.DataLoader(dataset, BATCH, shuffle=True))) / 1e3
