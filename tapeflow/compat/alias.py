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
    sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds `tensorflow.x.y` as the module tapeflow.x.y, and `tapeflow.keras.x` as Keras's own module."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("tensorflow.") and self._module(name) is not None:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def _module(self, name):
        path = name.split(".")[1:]
        if path[0] == "keras":
            load_keras()
            try:
                return importlib.import_module(".".join([KERAS, *path[1:]]))
            except ModuleNotFoundError:
                return None
        module = sys.modules.get(".".join(["tapeflow", *path]))
        return module if module is not None else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # The import system gives out what stands in sys.modules: the module itself, not a copy of it.
        sys.modules[module.__spec__.name] = self._module(module.__spec__.name)


def load_keras():
    """The real Keras 3 on its TensorFlow backend, which is tapeflow.

    Raises:
        RuntimeError: Keras was imported before with another backend.
        ImportError: Keras is not installed.
    """
    present = sys.modules.get("keras")
    if present is not None and "tensorflow" not in sys.modules:
        backend = present.backend.backend()
        raise RuntimeError(
            f"Keras was imported before tapeflow took the name tensorflow, with the backend {backend!r}. Import tapeflow and "
            "use tapeflow.keras (or call tapeflow.compat.install_as_tensorflow()) before importing keras."
        )
    install_as_tensorflow()
    if present is None:
        chosen = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        if chosen != "tensorflow":
            raise RuntimeError(
                f"The environment variable KERAS_BACKEND is {chosen!r}, but tapeflow.keras is Keras on its TensorFlow backend. "
                "Unset KERAS_BACKEND or set it to 'tensorflow'."
            )
    keras = importlib.import_module(KERAS)
    from tapeflow.compat import datasets

    datasets.install(importlib.import_module("keras.src.datasets.mnist"))
    return keras
