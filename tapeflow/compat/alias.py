"""`install_as_tensorflow` makes `import tensorflow` find tapeflow, and `load_keras` puts the real Keras 3 on top."""

import importlib
import importlib.machinery
import os
import sys

KERAS = "keras._tf_keras.keras"


def install_as_tensorflow():
    """Let `import tensorflow`, and every module below it that exists here, mean tapeflow.

    Calling it again does nothing.

    Raises:
        RuntimeError: the real TensorFlow was imported before.

    Example:
        >>> import tapeflow
        >>> tapeflow.compat.install_as_tensorflow()
        >>> import tensorflow
        >>> tensorflow is tapeflow
        True
    """
    root = sys.modules["tapeflow"]
    present = sys.modules.get("tensorflow")
    if present is root:
        return
    if present is not None:
        raise RuntimeError(
            f"The real TensorFlow was imported already (from {getattr(present, '__file__', '?')}), and tapeflow cannot take "
            "its name. Call tapeflow.compat.install_as_tensorflow() before anything imports tensorflow."
        )
    from tapeflow.compat import internal

    internal.install(root)
    sys.modules["tensorflow"] = root


def install_finder():
    """Let imports of `tapeflow.keras.x`, and of `tensorflow.x` once tapeflow has that name, be found."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds `tensorflow.x.y` as the module tapeflow.x.y, and `tapeflow.keras.x` as Keras's own module."""

    def find_spec(self, name, path=None, target=None):
        root, _, rest = name.partition(".")
        ours = root == "tapeflow" or (root == "tensorflow" and sys.modules.get(root) is sys.modules.get("tapeflow"))
        if not ours or not rest or (root == "tapeflow" and rest.split(".")[0] != "keras"):
            return None
        if self._module(rest.split(".")) is None:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def find_distributions(self, context):
        """tapeflow as the installed distribution `tensorflow`, whose version libraries look up."""
        if context.name == "tensorflow" and sys.modules.get("tensorflow") is sys.modules["tapeflow"]:
            yield _distribution()

    def _module(self, path):
        if path[0] == "keras":
            load_keras()
            path = [KERAS, *path[1:]]
        else:
            path = ["tapeflow", *path]
        try:
            return importlib.import_module(".".join(path))
        except ModuleNotFoundError:
            return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # The import system gives out what stands in sys.modules: the module itself, not a copy of it.
        name = module.__spec__.name
        sys.modules[name] = self._module(name.split(".")[1:])


def _distribution():
    import importlib.metadata

    class Distribution(importlib.metadata.Distribution):
        """What `importlib.metadata` tells of the distribution `tensorflow`."""

        def read_text(self, filename):
            version = sys.modules["tapeflow"].__version__
            return f"Metadata-Version: 2.1\nName: tensorflow\nVersion: {version}\n" if filename == "METADATA" else None

        def locate_file(self, path):
            return os.path.join(os.path.dirname(sys.modules["tapeflow"].__file__), path)

    return Distribution()


def load_keras():
    """The real Keras 3 on its TensorFlow backend, which is tapeflow.

    Raises:
        RuntimeError: Keras was imported before with another backend.
        ImportError: Keras is not installed.
    """
    present = sys.modules.get("keras")
    if present is not None and sys.modules.get("tensorflow") is None:
        raise RuntimeError(
            "Keras was imported before tapeflow took the name tensorflow, with the backend "
            f"{_backend(present)!r}. Import tapeflow and use tapeflow.keras (or call "
            "tapeflow.compat.install_as_tensorflow()) before importing keras."
        )
    install_as_tensorflow()
    chosen = os.environ.setdefault("KERAS_BACKEND", "tensorflow") if present is None else _backend(present)
    if chosen != "tensorflow":
        raise RuntimeError(
            f"Keras runs on the backend {chosen!r}, but tapeflow.keras is Keras on its TensorFlow backend. Unset "
            "KERAS_BACKEND, or set it to 'tensorflow', before Keras is imported."
        )
    keras = importlib.import_module(KERAS)
    from tapeflow.compat import datasets

    datasets.install(importlib.import_module("keras.src.datasets.mnist"))
    return keras


def _backend(keras):
    """The name of the backend that an imported Keras runs on."""
    backend = getattr(keras, "backend", None)
    return backend.backend() if backend is not None else "?"
