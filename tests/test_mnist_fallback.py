"""`keras.datasets.mnist.load_data`: Keras's cache first, its download next, and then the copy that tapeflow carries."""

import hashlib
import importlib
import os
import time
import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest

from tapeflow.compat import datasets

tf = importlib.import_module(os.environ.get("IMPL", "tapeflow"))
ORIGIN = "https://example.invalid/mnist.npz"
SHA256 = {  # of the bytes of the arrays in the original files
    "x_train": "741c988805d008ac",
    "y_train": "1feba77c54802fa5",
    "x_test": "6d87418db22cc802",
    "y_test": "ddeff807876a9661",
}


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """An empty Keras cache."""
    assert tf.keras.backend.backend() == "tensorflow"  # before anything of Keras is imported by its own name
    from keras.src.backend import config

    monkeypatch.setattr(config, "keras_home", lambda: str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path


def mnist_module(get_file):
    module = SimpleNamespace(get_file=get_file)
    datasets.install(module)
    return module


def failing_get_file(**arguments):
    raise AssertionError("Keras must not be asked")


def test_carried_arrays_are_those_of_the_original_files():
    with np.load(datasets.CARRIED_COPY, allow_pickle=False) as arrays:
        assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
            "x_train": ((60000, 28, 28), np.uint8),
            "y_train": ((60000,), np.uint8),
            "x_test": ((10000, 28, 28), np.uint8),
            "y_test": ((10000,), np.uint8),
        }
        assert {name: hashlib.sha256(array).hexdigest()[:16] for name, array in arrays.items()} == SHA256


def test_offline_gives_the_carried_copy_and_says_so(keras_home, monkeypatch, capsys):
    def no_network(*arguments, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(datasets.urllib.request, "urlopen", no_network)
    path = mnist_module(failing_get_file).get_file(fname="mnist.npz", origin=ORIGIN, file_hash="0" * 64)
    assert path == str(datasets.CARRIED_COPY)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "tapeflow: MNIST cannot be downloaded (Name or service not known); its own copy is used\n"
    assert not list((keras_home / "datasets").iterdir())


def test_a_silent_network_is_given_up_soon(keras_home, monkeypatch):
    monkeypatch.setattr(datasets, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(datasets.urllib.request, "urlopen", lambda *arguments, **options: time.sleep(5))
    start = time.monotonic()
    path = mnist_module(failing_get_file).get_file(fname="mnist.npz", origin=ORIGIN, file_hash="0" * 64)
    assert path == str(datasets.CARRIED_COPY)
    assert time.monotonic() - start < 4


def test_keras_uses_its_cached_file_without_a_network(keras_home):
    cached = keras_home / "datasets" / "mnist.npz"
    cached.write_bytes(b"cached")
    module = mnist_module(lambda **arguments: arguments["fname"])
    file_hash = hashlib.sha256(b"cached").hexdigest()
    assert module.get_file(fname="mnist.npz", origin=ORIGIN, file_hash=file_hash) == "mnist.npz"


def test_a_cached_file_that_is_cut_short_is_left_alone_offline(keras_home, monkeypatch):
    cached = keras_home / "datasets" / "mnist.npz"
    cached.write_bytes(b"cac")
    monkeypatch.setattr(datasets, "_why_unreachable", lambda origin: "offline")
    file_hash = hashlib.sha256(b"cached").hexdigest()
    path = mnist_module(failing_get_file).get_file(fname="mnist.npz", origin=ORIGIN, file_hash=file_hash)
    assert path == str(datasets.CARRIED_COPY)
    assert cached.read_bytes() == b"cac"


def test_a_failed_download_gives_the_carried_copy(keras_home, monkeypatch, capsys):
    def get_file(**arguments):
        raise ValueError("Incomplete or corrupted file detected")

    monkeypatch.setattr(datasets, "_why_unreachable", lambda origin: None)
    path = mnist_module(get_file).get_file(fname="mnist.npz", origin=ORIGIN, file_hash="0" * 64)
    assert path == str(datasets.CARRIED_COPY)
    assert "Incomplete or corrupted file" in capsys.readouterr().err


def test_a_path_in_place_of_a_name_is_refused_as_keras_refuses_it():
    def get_file(**arguments):
        raise ValueError("Paths are no longer accepted as the `fname` argument.")

    with pytest.raises(ValueError, match="Paths are no longer accepted"):
        mnist_module(get_file).get_file(fname="folder/mnist.npz", origin=ORIGIN, file_hash="0" * 64)


def test_installing_twice_wraps_once():
    module = mnist_module(failing_get_file)
    wrapper = module.get_file
    datasets.install(module)
    assert module.get_file is wrapper
