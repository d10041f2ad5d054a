"""An input pipeline over a TFRecord file of MNIST: read, parse the example, decode its PNG, batch."""

import pathlib
import struct
import tempfile
import time
import zlib

from row import Row

ROW = Row(
    "TFRecord + parse_single_example + decode_png, one image, CPU",
    peer="tensorflow",
    faster=1,
    libraries=("tapeflow", "tensorflow"),
)
COUNT, BATCH = 1000, 100
MNIST = pathlib.Path(__file__).parents[2] / "tapeflow" / "assets" / "mnist.npz"


def png(pixels):
    """A PNG file of a gray image by the filter that looks at three neighbours (Paeth's), the same for both libraries."""
    import numpy as np

    x = np.pad(pixels.astype(int), ((1, 0), (1, 0)))
    left, above, corner = x[1:, :-1], x[:-1, 1:], x[:-1, :-1]
    distances = np.abs(np.stack([above - corner, left - corner, left + above - 2 * corner]))
    guess = np.choose(distances.argmin(0), [left, above, corner])
    lines = np.insert((x[1:, 1:] - guess) % 256, 0, 4, axis=1).astype(np.uint8)
    header = struct.pack(">IIBBBBB", *pixels.shape[::-1], 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def write(tf, path):
    """The file of the first images; gives their sum."""
    import numpy as np

    with np.load(MNIST) as data:
        images, labels = data["x_train"][:COUNT], data["y_train"][:COUNT]
    T = tf.train
    with tf.io.TFRecordWriter(path) as writer:
        for image, label in zip(images, labels, strict=True):
            features = {
                "image": T.Feature(bytes_list=T.BytesList(value=[png(image)])),
                "label": T.Feature(int64_list=T.Int64List(value=[int(label)])),
            }
            writer.write(T.Example(features=T.Features(feature=features)).SerializeToString())
    return int(images.sum(dtype=np.int64))


def tensorflow(tf):
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(record):
        found = tf.io.parse_single_example(record, features)
        return tf.io.decode_png(found["image"], channels=1), found["label"]

    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "mnist.tfrecord")
        expected = write(tf, path)
        data = tf.data.TFRecordDataset(path).map(parse).batch(BATCH)
        assert sum(int(images.numpy().sum(dtype="int64")) for images, _ in data) == expected
        return min([epoch_seconds(data) for _ in range(20)]) / COUNT * 1e6


def epoch_seconds(data):
    """The processor time of an epoch: TensorFlow makes batches on threads of its own before they are asked for."""
    start = time.process_time()
    for _ in data:
        pass
    return time.process_time() - start
