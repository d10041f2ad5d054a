"""Writes golden.json: what TensorFlow gives for the calls of cases.py, and files that TensorFlow and Pillow wrote.

python tests/io/make_golden.py     (an interpreter with TensorFlow and Pillow)
"""

import base64
import io
import json
import os
import pathlib
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import cases
import numpy as np
import tensorflow as tf
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
RECORDS = [b"", b"a", bytes(range(256)) * 3, b"last"]


def saved(image, form, **settings):
    """The bytes of an image as a file."""
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def images():
    """Image files of all kinds, by the names that the calls have for them."""
    a = cases.picture()
    colour, gray = Image.fromarray(a), Image.fromarray(a[..., 0])
    frames = [Image.fromarray(np.roll(a, k, 0)) for k in range(3)]
    return {
        "J": saved(colour, "JPEG", quality=90),
        "J444": saved(colour, "JPEG", quality=90, subsampling=0),
        "JG": saved(gray, "JPEG"),
        "JC": saved(colour.convert("CMYK"), "JPEG"),
        "P": saved(colour, "PNG"),
        "PG": saved(gray, "PNG"),
        "PA": saved(Image.fromarray(np.concatenate([a, a[..., :1]], -1)), "PNG"),
        "PLA": saved(Image.fromarray(np.concatenate([a[..., :1], a[..., :1]], -1)), "PNG"),
        "PP": saved(colour.quantize(16), "PNG"),
        "P1": saved(Image.fromarray(a[..., 0] > 128), "PNG"),
        "P16": saved(Image.fromarray(a[..., 0].astype(np.uint16) * 257 + 3), "PNG"),
        "G": saved(colour, "GIF"),
        "GA": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "B": saved(colour, "BMP"),
        "BG": saved(gray, "BMP"),
        "W": saved(colour, "WEBP", lossless=True),
    }


def records():
    """TFRecord files, by their compression."""
    found = {}
    for compression in ("", "GZIP", "ZLIB"):
        with tempfile.NamedTemporaryFile() as file:
            with tf.io.TFRecordWriter(file.name, tf.io.TFRecordOptions(compression)) as writer:
                for record in RECORDS:
                    writer.write(record)
            found[compression] = pathlib.Path(file.name).read_bytes()
    return found


def main():
    """Write what TensorFlow gives."""
    files = images()
    space = cases.names(tf, files)
    golden = {"images": {}, "records": {}, "outcomes": {}, "near": {}}
    golden["images"] = {name: base64.b64encode(data).decode() for name, data in files.items()}
    golden["records"] = {name: base64.b64encode(data).decode() for name, data in records().items()}
    golden["written"] = [base64.b64encode(record).decode() for record in RECORDS]
    for table in ("PARSING", "FORMATS", "IMAGES"):
        golden["outcomes"][table] = [cases.outcome(tf, call, space) for call in cases.lines(getattr(cases, table))]
    with tempfile.TemporaryDirectory() as folder:
        cases.prepare(pathlib.Path(folder))
        outcomes = [cases.outcome(tf, call.replace("{folder}", folder), space) for call in cases.lines(cases.FILES)]
        golden["outcomes"]["FILES"] = [outcome.replace(folder, "{folder}") for outcome in outcomes]
    for call in cases.lines(cases.NEAR):
        pixels = eval(call, space).numpy()
        golden["near"][call] = [pixels.shape, base64.b64encode(pixels.tobytes()).decode()]
    (FOLDER / "golden.json").write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
