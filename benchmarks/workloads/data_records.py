"""2,000 MNIST images as PNG in a TFRecord file: `TFRecordDataset`, `parse_single_example`, `decode_png`, `batch(32)`."""

import os
import tempfile
from pathlib import Path

from measure import best_microseconds
from row import Row

ROW = Row("MNIST as PNG in TFRecords", unit="ms", peer="tensorflow", faster=1, libraries=("tapeflow", "tensorflow"))
COUNT, BATCH = 2000, 32
MNIST = Path(__file__).resolve().parents[2] / "tapeflow" / "assets" / "mnist.npz"


def write(tf, path):
    """Write the file."""
    import numpy as np

    with np.load(MNIST) as file:
        images, labels = file["x_train"][:COUNT, ..., None], file["y_train"][:COUNT]
    with tf.io.TFRecordWriter(path) as writer:
        for pixels, label in zip(images, labels, strict=True):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[tf.io.encode_png(pixels).numpy()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def tensorflow(tf):
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(message):
        example = tf.io.parse_single_example(message, features)
        return tf.io.decode_png(example["image"], channels=1), example["label"]

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "images")
        write(tf, path)
        dataset = tf.data.TFRecordDataset(path).map(parse).batch(BATCH)

        def epoch():
            batches = sum(images.shape[1:] == (28, 28, 1) and labels.shape[0] > 0 for images, labels in dataset)
            assert batches == -(-COUNT // BATCH)

        return best_microseconds(epoch) / 1e3
