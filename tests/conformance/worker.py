"""Evaluates calls in one interpreter: `worker.py tapeflow` or `worker.py tensorflow`, one JSON line in, one JSON line out.

Needs nothing but NumPy, ml_dtypes and the library it is told to import, so that it runs in TensorFlow's own environment.
"""

import base64
import importlib
import json
import os
import resource
import sys
import traceback
import warnings

import numpy as np

NUMPY_DTYPES = {}
MEMORY = 6 * 2**30  # a call that asks for more fails, instead of taking the machine down


def numpy_dtype(name):
    """The NumPy dtype of a TensorFlow dtype's name."""
    if name not in NUMPY_DTYPES:
        if name == "string":
            NUMPY_DTYPES[name] = np.dtype(object)
        else:
            try:
                NUMPY_DTYPES[name] = np.dtype(name)
            except TypeError:
                import ml_dtypes

                NUMPY_DTYPES[name] = np.dtype(getattr(ml_dtypes, name))
    return NUMPY_DTYPES[name]


def pack(array):
    """An array as plain data."""
    array = np.asarray(array)
    if array.dtype == object or array.dtype.kind in "SU":
        leaves = [x if isinstance(x, bytes) else str(x).encode() for x in array.ravel().tolist()]
        return {"dtype": "string", "shape": array.shape, "data": [base64.b64encode(x).decode() for x in leaves]}
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": array.shape, "data": data}


def unpack(entry):
    """The array of plain data."""
    if entry["dtype"] == "string":
        array = np.empty(len(entry["data"]), object)
        array[:] = [base64.b64decode(x) for x in entry["data"]]
        return array.reshape(entry["shape"])
    flat = np.frombuffer(base64.b64decode(entry["data"]), numpy_dtype(entry["dtype"]))
    return flat.reshape(entry["shape"]).copy()


class Evaluator:
    """Runs calls with the library `tf`."""

    def __init__(self, tf):
        self.tf = tf
        self.compiled = {}

    def inputs(self, entries):
        """The named inputs of a call: tensors, variables or NumPy arrays."""
        found = {}
        for name, entry in entries.items():
            array = unpack(entry)
            kind = entry.get("kind", "tensor")
            if kind == "numpy":
                found[name] = array
            elif kind == "variable":
                found[name] = self.tf.Variable(array)
            else:
                found[name] = self.tf.constant(array)
        return found

    def run(self, source, names):
        """The value of an expression, or what statements leave in `result`."""
        code = self.compiled.get(source)
        if code is None:
            try:
                code = compile(source, "<call>", "eval")
            except SyntaxError:
                code = compile(source, "<call>", "exec")
            self.compiled[source] = code
        space = {"tf": self.tf, "np": np, "nan": float("nan"), "inf": float("inf"), **names}
        result = eval(code, space)
        return space.get("result", result)

    def answer(self, call):
        """What the call gives: its value, then its gradients where they are asked for."""
        answer = {"value": self.attempt(lambda: self.run(call["source"], self.inputs(call["inputs"])))}
        if call["order"] and "error" not in answer["value"]:
            answer["gradient"] = self.attempt(lambda: self.gradient(call, 1))
            if call["order"] > 1 and "error" not in answer["gradient"]:
                answer["second"] = self.attempt(lambda: self.gradient(call, 2))
        return answer

    def attempt(self, function):
        """The encoded result, or the exception's class and its first words."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return {"ok": self.encode(function())}
        except Exception as error:
            text = (str(error).splitlines() or [""])[0]
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(where.filename)}:{where.lineno}"
            return {"error": type(error).__name__, "text": text[:200], "where": place}

    def gradient(self, call, order):
        """The cotangents of the inputs `wrt` along fixed weights of the results; of the second order the same again."""
        tf = self.tf
        names = self.inputs(call["inputs"])
        sources = [names[name] for name in call["wrt"]]
        with tf.GradientTape() as outer:
            watch(outer, sources)
            with tf.GradientTape() as tape:
                watch(tape, sources)
                targets = self.float_tensors(self.run(call["source"], names))
            found = tape.gradient(targets, sources, output_gradients=[self.weights(y) for y in targets])
            if order == 1:
                return found
            targets = self.float_tensors(found)
        return outer.gradient(targets, sources, output_gradients=[self.weights(y) for y in targets])

    def weights(self, y):
        """Weights between -1 and 1 in the shape of `y`, the same for both libraries."""
        steps = np.arange(int(np.prod(y.shape.as_list()))).reshape(y.shape.as_list())
        weights = np.round(np.cos(steps * 0.7 + 0.3) * 64) / 64
        if y.dtype.is_complex:
            weights = weights + 0.5j * np.round(np.sin(steps * 1.3) * 64) / 64
        return self.tf.cast(self.tf.constant(weights), y.dtype)

    def float_tensors(self, value):
        """The differentiable tensors within a result."""
        tf = self.tf
        if isinstance(value, (tf.Tensor, tf.Variable)):
            return [tf.convert_to_tensor(value)] if value.dtype.is_floating or value.dtype.is_complex else []
        if isinstance(value, tf.IndexedSlices):
            return self.float_tensors(value.values)
        if isinstance(value, (list, tuple)):
            return [y for item in value for y in self.float_tensors(item)]
        if isinstance(value, dict):
            return [y for key in sorted(value) for y in self.float_tensors(value[key])]
        return []

    def encode(self, value):
        """A result as plain data that tells its kind."""
        tf = self.tf
        if value is None or isinstance(value, (bool, int, str)):
            return {"python": type(value).__name__, "value": value}
        if isinstance(value, float):
            return {"python": "float", "value": repr(float(value))}
        if isinstance(value, complex):
            return {"python": "complex", "value": repr(complex(value))}
        if isinstance(value, bytes):
            return {"python": "bytes", "value": base64.b64encode(value).decode()}
        if isinstance(value, tf.Variable):
            return {"kind": "variable", **pack(value.numpy())}
        if isinstance(value, tf.Tensor):
            return {"kind": "tensor", **self.pack_tensor(value)}
        if isinstance(value, (np.ndarray, np.generic)):
            return {"kind": "numpy", **pack(value)}
        if isinstance(value, (tf.TensorShape, tf.DType)):
            return {"python": type(value).__name__, "value": repr(value)}
        if isinstance(value, tf.IndexedSlices):
            parts = value.values, value.indices, value.dense_shape
            return {"parts": "IndexedSlices", "items": [self.encode(x) for x in parts]}
        for name in ("SparseTensor", "RaggedTensor"):
            kind = getattr(tf, name, None)
            if kind is not None and isinstance(value, kind):
                parts = tf.nest.flatten(value, expand_composites=True)
                return {"parts": name, "items": [self.encode(x) for x in parts]}
        if isinstance(value, dict):
            return {"parts": "dict", "items": [self.encode([key, value[key]]) for key in sorted(value, key=str)]}
        if isinstance(value, (list, tuple)):
            name = "list" if isinstance(value, list) else "tuple"
            return {"parts": name, "items": [self.encode(x) for x in value]}
        if isinstance(value, slice) or value is Ellipsis:
            return {"python": type(value).__name__, "value": repr(value)}
        if hasattr(value, "__next__"):
            return {"parts": "iterator", "items": [self.encode(x) for x in value]}
        return {"python": "object", "value": type(value).__name__}

    def pack_tensor(self, value):
        packed = pack(value.numpy())
        packed["dtype"] = value.dtype.name  # string, and the dtypes that NumPy names otherwise
        packed["static"] = value.shape.as_list()
        return packed


def watch(tape, sources):
    """Watch what can be watched; a variable watches itself."""
    for source in sources:
        if not hasattr(source, "assign"):
            tape.watch(source)


def main():
    """Answer until the input ends. What the library prints goes to stderr, so that the pipe holds answers only."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1] == "tapeflow":
        sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    tf = importlib.import_module(sys.argv[1])
    evaluator = Evaluator(tf)
    print(json.dumps({"ready": tf.__version__}), file=pipe, flush=True)
    for line in sys.stdin:
        print(json.dumps(evaluator.answer(json.loads(line))), file=pipe, flush=True)


if __name__ == "__main__":
    main()
