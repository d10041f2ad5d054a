"""The name `tensorflow`, and Keras below it, each in an interpreter of its own."""

import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

needs_keras = pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")


def run(program, tmp_path=None, **environment):
    """(exit status, standard output, last line of the error) of a program in a fresh interpreter."""
    kept = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    if tmp_path is not None:
        kept["PYTHONPATH"] = os.pathsep.join([str(tmp_path), kept.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**kept, "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, (done.stderr.strip().splitlines() or [""])[-1]


def test_the_name_and_what_stands_below_it():
    program = """
    import tapeflow
    tapeflow.compat.install_as_tensorflow()
    tapeflow.compat.install_as_tensorflow()
    import importlib.metadata
    import importlib.util
    import pickle
    import tensorflow as tf
    import tensorflow.math
    from tensorflow import errors, data
    from tensorflow.python.eager import context
    from tensorflow.python.ops.math_ops import is_nan
    from tensorflow.core import tensor
    import tapeflow.core.tensor

    assert tf is tapeflow and tensorflow.math is tapeflow.math and errors is tf.errors and data is tf.data
    assert tensor is tapeflow.core.tensor
    assert importlib.util.find_spec("tensorflow") is not None
    assert tf.__version__.startswith("2.21") and importlib.metadata.version("tensorflow") == tf.__version__
    assert importlib.metadata.version("numpy")

    x = tf.constant([[1, 2, 3]])
    y = pickle.loads(pickle.dumps(x))
    assert (y.numpy() == x.numpy()).all() and y.dtype is tf.int32
    assert type(x).__module__.startswith("tensorflow.python.") and type(x).__name__ == "Tensor"
    for cls in (tf.Tensor, tf.data.Dataset, tf.SparseTensor, tf.RaggedTensor, tf.TensorSpec):
        assert pickle.loads(pickle.dumps(cls)) is cls
    v = pickle.loads(pickle.dumps(tf.Variable([1.0, 2.0], name="v")))
    assert v.numpy().tolist() == [1.0, 2.0] and v.name == "v:0"
    for missing in ("tensorflow.nothing", "tensorflow.math.nothing", "tapeflow.nothing"):
        try:
            __import__(missing)
        except ModuleNotFoundError:
            continue
        raise AssertionError(missing)
    """
    assert run(program) == (0, "", "")


def test_pickles_are_read_without_the_alias():
    program = """
    import base64, pickle, sys
    import tapeflow as tf
    if len(sys.argv) == 1:
        tf.compat.install_as_tensorflow()
        print(base64.b64encode(pickle.dumps((tf.constant([1.5]), tf.TensorSpec([None])))).decode())
    """
    status, text, error = run(program)
    assert (status, error) == (0, "")
    read = f"""
    import base64, pickle
    x, spec = pickle.loads(base64.b64decode("{text.strip()}"))
    import tapeflow as tf
    assert x.numpy().tolist() == [1.5] and spec == tf.TensorSpec([None])
    """
    assert run(read) == (0, "", "")


@needs_keras
@pytest.mark.parametrize("root", ["tapeflow", "tensorflow"])
def test_keras_below_the_name(root):
    program = f"""
    import tapeflow
    if "{root}" == "tensorflow":
        tapeflow.compat.install_as_tensorflow()
    import {root}.keras.layers
    from {root} import keras
    from {root}.keras import layers
    from {root}.keras.layers import Dense
    import keras as itself
    import {root}.keras.applications.vgg16 as vgg

    assert keras is tapeflow.keras and layers is keras.layers and {root}.keras.layers is layers
    assert Dense is layers.Dense is itself.layers.Dense and itself.backend.backend() == "tensorflow"
    assert vgg.VGG16 is itself.applications.VGG16
    print(Dense(2)(tapeflow.ones([3, 5])).shape)
    """
    assert run(program) == (0, "(3, 2)\n", "")


def test_the_real_tensorflow_is_never_replaced(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("import sys\n__version__ = '2.21.0'\n")
    program = """
    import tensorflow
    import tapeflow
    print(tapeflow.ones([2]).shape)
    try:
        tapeflow.compat.install_as_tensorflow()
    finally:
        import sys
        assert sys.modules["tensorflow"] is tensorflow and tensorflow.__version__ == "2.21.0"
    """
    status, text, error = run(program, tmp_path)
    assert status == 1 and text == "(2,)\n"
    assert error.startswith("RuntimeError: The real TensorFlow was imported already (from ") and str(tmp_path) in error
    status, _, error = run("import tensorflow, tapeflow\ntapeflow.keras", tmp_path)
    assert status == 1 and error.startswith("RuntimeError: The real TensorFlow was imported already")


@needs_keras
def test_keras_with_another_backend():
    # A stand-in for Keras on its NumPy backend, which would need SciPy.
    program = """
    import sys, types
    sys.modules["keras"] = types.SimpleNamespace(backend=types.SimpleNamespace(backend=lambda: "numpy"))
    import tapeflow
    tapeflow.keras
    """
    status, _, error = run(program)
    assert status == 1 and error.startswith("RuntimeError: Keras was imported before tapeflow took the name tensorflow")
    assert "'numpy'" in error


@needs_keras
@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="Keras's NumPy backend imports SciPy")
def test_another_backend_is_chosen():
    status, _, error = run("import tapeflow\ntapeflow.keras", KERAS_BACKEND="numpy")
    assert status == 1 and error.startswith("RuntimeError: Keras runs on the backend 'numpy'")
    program = "import tapeflow\ntapeflow.compat.install_as_tensorflow()\nimport keras\ntapeflow.keras"
    status, _, error = run(program, KERAS_BACKEND="numpy")
    assert status == 1 and error.startswith("RuntimeError: Keras runs on the backend 'numpy'")
    program = "import tapeflow\ntapeflow.compat.install_as_tensorflow()\nimport keras\nprint(tapeflow.keras.version())"
    assert run(program)[0] == 0


def test_what_tf_function_says():
    import tapeflow as tf

    if hasattr(tf, "function"):
        return
    with pytest.raises(AttributeError, match="run_eagerly=True"):
        _ = tf.function
