"""`tf.test.TestCase`: assertions about tensors."""

import contextlib
import os
import random
import shutil
import tempfile
import threading
import unittest

import numpy as np

from tapeflow.api.export import EXPORTS, export
from tapeflow.api.testing_asserts import Assertions
from tapeflow.base import flags, nest
from tapeflow.base.dtypes import BY_NUMPY, as_dtype
from tapeflow.base.errors import InvalidArgumentError, OpError
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

SEED = 87654321


@export("test.TestCase")
class TestCase(Assertions, unittest.TestCase):
    """A `unittest.TestCase` for code that works with tensors: seeds are set before each test.

    Example:
        >>> import tapeflow as tf
        >>> case = tf.test.TestCase()
        >>> case.assertAllClose(tf.constant([1.0, 2.0]), [1.0, 2.0000001])
        >>> case.assertAllEqual(tf.constant([1, 2]), [1, 3])
        Traceback (most recent call last):
        ...
        AssertionError:
        Arrays are not equal
        not equal where = [1]
        not equal lhs = [2]
        not equal rhs = [3]
        left: [1 2]
        right: [1 3]
    """

    def setUp(self):
        super().setUp()
        random.seed(SEED)
        np.random.seed(SEED)
        EXPORTS["random.set_seed"](SEED)
        self._threads = []
        self._temporary = None

    def tearDown(self):
        for thread in self._threads:
            self.assertFalse(thread.is_alive(), "A checkedThread did not terminate: join it.")
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        super().tearDown()

    def get_temp_dir(self):
        """A folder for this test, which is removed behind it."""
        if getattr(self, "_temporary", None) is None:
            self._temporary = tempfile.mkdtemp(prefix=f"{type(self).__name__}-", dir=flags.TEST_TMPDIR or None)
        return self._temporary

    # Values

    def evaluate(self, tensors):
        """The NumPy values of a nest of tensors; functions in it are called first."""
        return nest.map_structure(self._evaluate, tensors)

    def _evaluate(self, x):
        if x is None or isinstance(x, (np.ndarray, np.generic)):
            return x
        if isinstance(x, (Tensor, Variable)):
            return x.numpy()
        if callable(x):
            return self.evaluate(x())
        if hasattr(x, "numpy"):
            return x.numpy()
        if hasattr(x, "_type_spec"):
            return x
        raise ValueError(f"Unsupported type {type(x).__name__!r}: {x!r} is no tensor.")

    def _GetNdArray(self, a):
        """An array of a tensor, variable, number or list."""
        if isinstance(a, np.ndarray):
            return a
        if isinstance(a, (Tensor, Variable)):
            return np.asarray(a)
        if hasattr(a, "to_list") and hasattr(a, "_type_spec"):
            return np.array(a.to_list(), object)
        if isinstance(a, (list, tuple)):
            a = nest.map_structure(lambda x: np.asarray(x) if isinstance(x, (Tensor, Variable)) else x, a)
        return np.array(a)

    @contextlib.contextmanager
    def session(self, graph=None, config=None, use_gpu=True, force_gpu=False):
        """A context whose value has `run`, which evaluates tensors: there are no sessions."""
        yield _Session(self)

    cached_session = session

    def test_session(self, graph=None, config=None, use_gpu=True, force_gpu=False):
        """`session`, whose old name makes it look like a test."""
        if self.id().endswith(".test_session"):
            self.skipTest("Not a test.")
        return self.session()

    # Close

    def assertAllClose(self, a, b, rtol=1e-6, atol=1e-6, msg=None):
        """Fail unless `a` and `b` are nested alike and `|a - b| <= atol + rtol * |b|` everywhere; NaN equals NaN.

        Raises:
            ValueError: a dict is compared with something else.
        """
        self._close(a, b, rtol, atol, msg, ())

    def _close(self, a, b, rtol, atol, msg, path):
        where = f" at {'/'.join(map(str, path))}" if path else ""
        a, b = (x._asdict() if nest.is_namedtuple(x) else x for x in (a, b))
        if isinstance(a, dict) or isinstance(b, dict):
            if not (isinstance(a, dict) and isinstance(b, dict)):
                raise ValueError(f"Can't compare dict to non-dict, {a!r} vs {b!r}.{where}")
            self.assertCountEqual(a, b, f"mismatched keys{where}: {msg or ''}")
            for key in a:
                self._close(a[key], b[key], rtol, atol, msg, (*path, key))
            return
        nested = (isinstance(x, (list, tuple)) and _has_structure(x) for x in (a, b))
        if any(nested):
            self.assertEqual(len(a), len(b), f"Mismatched length{where}: {msg or ''}")
            for index, (x, y) in enumerate(zip(a, b, strict=True)):
                self._close(x, y, rtol, atol, msg, (*path, index))
            return
        self._close_arrays(self._GetNdArray(a), self._GetNdArray(b), rtol, atol, (msg or "") + where)

    def _close_arrays(self, a, b, rtol, atol, msg):
        self.assertEqual(a.shape, b.shape, f"Shape mismatch: expected {a.shape}, got {b.shape}. Contents: {b!r}. {msg}")
        wide = [x.astype(np.float64) if x.dtype.kind in "fV" else x for x in (a, b)]
        close = np.isclose(*wide, rtol=rtol, atol=atol, equal_nan=True)
        if np.all(close):
            return
        where = np.where(~np.atleast_1d(close))
        x, y = np.atleast_1d(wide[0])[where], np.atleast_1d(wide[1])[where]
        with np.errstate(all="ignore"):
            difference, tolerance = np.abs(x - y), atol + rtol * np.abs(y)
        raise self.failureException(
            f"\nNot equal to tolerance rtol={rtol:g}, atol={atol:g}\n{msg}\nMismatched value: a is different from b.\n"
            f"not close where = {_places(where)}\nnot close lhs = {x}\nnot close rhs = {y}\n"
            f"not close dif = {difference}\nnot close tol = {tolerance}\ndtype = {a.dtype}, shape = {a.shape}\n"
            f"Mismatched elements: {x.size} / {a.size}\nleft: {a}\nright: {b}"
        )

    def assertAllCloseAccordingToType(
        self,
        a,
        b,
        rtol=1e-6,
        atol=1e-6,
        float_rtol=1e-6,
        float_atol=1e-6,
        half_rtol=1e-3,
        half_atol=1e-3,
        bfloat16_rtol=1e-2,
        bfloat16_atol=1e-2,
        msg=None,
    ):
        """`assertAllClose` with the tolerances of the narrowest dtype of the two."""
        a, b = self._GetNdArray(a), self._GetNdArray(b)
        for name, wider in {
            "float32": (float_rtol, float_atol),
            "float16": (half_rtol, half_atol),
            "bfloat16": (bfloat16_rtol, bfloat16_atol),
        }.items():
            if name in (a.dtype.name, b.dtype.name):
                rtol, atol = max(rtol, wider[0]), max(atol, wider[1])
        self.assertAllClose(a, b, rtol=rtol, atol=atol, msg=msg)

    def assertNotAllClose(self, a, b, rtol=1e-6, atol=1e-6, msg=None):
        """Fail where `assertAllClose` passes."""
        try:
            self.assertAllClose(a, b, rtol=rtol, atol=atol, msg=msg)
        except AssertionError:
            return
        raise AssertionError(f"The two values are close at all elements. {msg or ''}")

    def assertNear(self, f1, f2, err, msg=None):
        """Fail unless two numbers differ by at most `err`."""
        if not (f1 == f2 or abs(f1 - f2) <= err):
            self.fail(f"{f1:f} != {f2:f} +/- {err:f}{f' ({msg})' if msg else ''}")

    def assertArrayNear(self, farray1, farray2, err, msg=None):
        """Fail unless two flat sequences of numbers differ by at most `err` everywhere."""
        self.assertEqual(len(farray1), len(farray2), msg)
        for f1, f2 in zip(farray1, farray2, strict=True):
            self.assertNear(float(f1), float(f2), err, msg)

    def assertNDArrayNear(self, ndarray1, ndarray2, err, msg=None):
        """Fail unless the norm of the difference of two arrays is less than `err`."""
        difference = np.linalg.norm(np.asarray(ndarray1) - np.asarray(ndarray2))
        self.assertLess(difference, err, msg)

    # Equal

    def assertAllEqual(self, a, b, msg=None):
        """Fail unless `a` and `b` have the same shape and equal elements; NaN equals NaN, "x" equals b"x"."""
        a, b = _as_bytes(self._GetNdArray(a)), _as_bytes(self._GetNdArray(b))
        self.assertEqual(
            a.shape, b.shape, f"Shape mismatch: expected {a.shape}, got {b.shape}. Contents: {b!r}. \n{msg or ''}"
        )
        same = np.asarray(a == b)
        if _has_nan(a) and _has_nan(b):
            same = same | (np.isnan(a) & np.isnan(b))
        if np.all(same):
            return
        where = np.where(~np.atleast_1d(same))
        x, y = np.atleast_1d(a)[where], np.atleast_1d(b)[where]
        raise self.failureException(
            f"\nArrays are not equal\n{f'{msg}{chr(10)}' if msg else ''}not equal where = {_places(where)}\n"
            f"not equal lhs = {x}\nnot equal rhs = {y}\nleft: {a}\nright: {b}"
        )

    def assertNotAllEqual(self, a, b, msg=None):
        """Fail where `assertAllEqual` passes."""
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        raise AssertionError(f"The two values are equal at all elements. {msg or ''}")

    def assertShapeEqual(self, input_a, input_b, msg=None):
        """Fail unless two arrays or tensors have the same shape.

        Raises:
            TypeError: one is neither.
        """
        for x in (input_a, input_b):
            if not isinstance(x, (np.ndarray, np.generic, Tensor, Variable)):
                raise TypeError(f"input must be an ndarray or a Tensor, instead received {type(x)}")
        self.assertEqual(tuple(input_a.shape), tuple(input_b.shape), msg)

    def assertDTypeEqual(self, target, expected_dtype):
        """Fail unless `target` has the dtype."""
        target = self._GetNdArray(target)
        if as_dtype(target.dtype) is not as_dtype(expected_dtype):
            raise AssertionError(f"DType: expected {as_dtype(expected_dtype)!r}, got {as_dtype(target.dtype)!r}")

    def assertDeviceEqual(self, device1, device2, msg=None):
        """Fail unless two device names mean the same."""
        from tapeflow.api.device import DeviceSpec

        self.assertEqual(*[DeviceSpec.from_string(d or "").to_string() for d in (device1, device2)], msg)

    def assertSameStructure(self, a, b, aname="a", bname="b", msg=None):
        """Fail unless two structures are nested alike."""
        try:
            nest.assert_same_structure(a, b)
        except (TypeError, ValueError) as error:
            self.fail(f"{aname} and {bname} are nested differently: {error} {msg or ''}")

    # Ranges

    def _assert_all(self, a, holds, text):
        a = self._GetNdArray(a)
        wrong = np.atleast_1d(a)[np.atleast_1d(~holds(a))]
        if wrong.size:
            raise AssertionError(f"{text}: {wrong[:10]}{'...' if wrong.size > 10 else ''}")

    def assertAllGreater(self, a, comparison_target):
        """Fail unless every element is greater than the target."""
        self._assert_all(a, lambda x: x > comparison_target, f"Some elements are not greater than {comparison_target}")

    def assertAllLess(self, a, comparison_target):
        """Fail unless every element is less than the target."""
        self._assert_all(a, lambda x: x < comparison_target, f"Some elements are not less than {comparison_target}")

    def assertAllGreaterEqual(self, a, comparison_target):
        """Fail unless every element is at least the target."""
        self._assert_all(a, lambda x: x >= comparison_target, f"Some elements are less than {comparison_target}")

    def assertAllLessEqual(self, a, comparison_target):
        """Fail unless every element is at most the target."""
        self._assert_all(a, lambda x: x <= comparison_target, f"Some elements are greater than {comparison_target}")

    def assertAllInRange(self, target, lower_bound, upper_bound, open_lower_bound=False, open_upper_bound=False):
        """Fail unless every element is between the bounds.

        Args:
            target: numbers.
            lower_bound, upper_bound: the bounds.
            open_lower_bound, open_upper_bound: whether the bound itself is out of range.

        Raises:
            AssertionError: an element is out of range, NaN or no number.
        """
        array = self._GetNdArray(target)
        if array.dtype.kind not in "iufV":
            raise AssertionError(f"The value of {target} does not have an ordered numeric type, got {array.dtype}.")

        def inside(x):
            low = x > lower_bound if open_lower_bound else x >= lower_bound
            return low & (x < upper_bound if open_upper_bound else x <= upper_bound)

        brackets = "(["[not open_lower_bound], ")]"[not open_upper_bound]
        self._assert_all(array, inside, f"Some elements are not in {brackets[0]}{lower_bound}, {upper_bound}{brackets[1]}")

    def assertAllInSet(self, target, expected_set):
        """Fail unless every element is in the set."""
        expected = list(expected_set)
        self._assert_all(target, lambda x: np.isin(x, expected), f"Some elements are not in {expected}")

    # Errors

    def assertRaisesOpError(self, expected_err_re_or_predicate):
        """A context that fails unless it raises an `OpError` with a message that fits."""
        return self.assertRaisesWithPredicateMatch(OpError, expected_err_re_or_predicate)

    def assertRaisesIncompatibleShapesError(self, exception_type=InvalidArgumentError):
        """A context that fails unless it raises an error about shapes that do not fit."""
        text = r"Incompatible shapes|Dimensions must be equal|required broadcastable shapes"
        return self.assertRaisesWithPredicateMatch(exception_type, text)

    # Threads and streams

    def checkedThread(self, target, args=None, kwargs=None):
        """A thread whose `join` fails the test where it raised."""
        thread = _CheckedThread(self, target, args or (), kwargs or {})
        self._threads.append(thread)
        return thread

    @contextlib.contextmanager
    def captureWritesToStream(self, stream):
        """A context whose value's `contents()` is what was written to the file descriptor of `stream`."""
        captured = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - it outlives this function
        saved = os.dup(stream.fileno())
        stream.flush()
        os.dup2(captured.fileno(), stream.fileno())
        written = _Captured(captured)
        try:
            yield written
        finally:
            stream.flush()
            os.dup2(saved, stream.fileno())
            os.close(saved)


class _Captured:
    def __init__(self, file):
        self._file = file

    def contents(self):
        """What was written."""
        self._file.seek(0)
        return self._file.read().decode()


class _CheckedThread:
    def __init__(self, case, target, args, kwargs):
        self._case, self._error = case, None
        self._thread = threading.Thread(target=self._run, args=(target, args, kwargs), daemon=True)

    def _run(self, target, args, kwargs):
        try:
            target(*args, **kwargs)
        except BaseException as error:
            self._error = error

    def start(self):
        """Start the thread."""
        self._thread.start()

    def join(self):
        """Wait for its end; fails the test where it raised."""
        self._thread.join()
        if self._error is not None:
            self._case.fail(f"Error in checkedThread: {self._error!r}")

    def is_alive(self):
        """Whether it still runs."""
        return self._thread.is_alive()


class _Session:
    """Stands for a session of TensorFlow 1 where nothing has to be run later."""

    def __init__(self, case):
        self._case = case

    def run(self, fetches, feed_dict=None, *args, **kwargs):
        """The values of `fetches`.

        Raises:
            NotImplementedError: placeholders are fed.
        """
        if feed_dict:
            raise NotImplementedError("There are no sessions: call a function instead of feeding placeholders.")
        return self._case.evaluate(fetches)


def _has_nan(array):
    """Whether the dtype of an array has a NaN."""
    dtype = BY_NUMPY.get(array.dtype)
    return dtype is not None and (dtype.is_floating or dtype.is_complex)


def _has_structure(x):
    """Whether a list holds more than what makes an array: dicts, or parts of different shapes."""
    try:
        return np.array([np.asarray(item) if not isinstance(item, dict) else {} for item in x]).dtype == object
    except ValueError:
        return True


def _as_bytes(array):
    """Strings as `bytes`, so that "x" and b"x" compare."""
    if array.dtype.kind not in "USO":
        return array
    leaves = [x.encode() if isinstance(x, str) else x for x in array.ravel().tolist()]
    result = np.empty(array.shape, object)
    result.ravel()[:] = leaves
    return result


def _places(where):
    """What `np.where` found: indices of a vector, else one index array for each axis."""
    return str(where[0]) if len(where) == 1 else str(where)
