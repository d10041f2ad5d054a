"""The fast call: it takes what fits, refuses everything else, and counts references rightly."""

import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.compile import entry as entry_module
from tapeflow.compile.entry import Argument, Held, Result, make_entry
from tapeflow.compile.jit import compile_text
from tapeflow.compile.text import F32, I64, PTR, Module

pytestmark = pytest.mark.skipif(not entry_module.AVAILABLE, reason="objects are laid out otherwise here")
F4 = np.dtype("f4")


class Scaled:
    """entry(x, a) -> (x * x, a * x): a scalar and a [2, 3] matrix of float32; x = -1 is a failure."""

    def __init__(self):
        module = Module()
        with module.function("step", [("table", PTR)]) as f:
            (table,) = f.arguments
            cells, source, target = (f.load(table + 8 * slot, PTR) for slot in range(3))
            x = f.load(cells, F32)
            f.store(x * x, cells + 8)
            with f.when(x.equals(-1.0)):
                f.store(f.constant(I64, 7), cells + 16)
            with f.loop(0, 6) as loop:
                f.store(f.load(source + loop.index * 4, F32) * x, target + loop.index * 4)
        self.code = compile_text(str(module), ["step"])
        self.cells, self.table = np.zeros(3, np.int64), np.zeros(3, np.int64)
        at = self.cells.ctypes.data
        self.table[0] = at
        self.entry = make_entry(
            self.code["step"], self.table.ctypes.data,
            [Argument(F4, (), cell=at), Argument(F4, (2, 3), slot=1)],
            [Result(F4, (), cell=at + 8), Result(F4, (2, 3), slot=2)],
            failures=[at + 16], keep=(self.code, self.cells, self.table),
        )  # fmt: skip


@pytest.fixture
def scaled():
    return Scaled()


X = tf.constant(3.0)
A = tf.constant([[1.0, 2, 3], [4, 5, 6]])


def test_it_runs_the_step(scaled):
    square, product = scaled.entry(X, A)
    assert type(square) is type(product) is tf.Tensor
    assert square.dtype == product.dtype == tf.float32
    assert square.numpy() == 9
    np.testing.assert_array_equal(product.numpy(), A.numpy() * 3)


def test_results_are_new_arrays(scaled):
    first = scaled.entry(X, A)
    second = scaled.entry(tf.constant(5.0), A)
    assert first[0].numpy() == 9 and second[0].numpy() == 25
    np.testing.assert_array_equal(first[1].numpy(), A.numpy() * 3)


def test_results_are_tensors_like_others(scaled):
    square, product = scaled.entry(X, A)
    product.note = "attributes may be hung on it"
    assert weakref.ref(product)() is product and hash(square.ref())
    with tf.GradientTape() as tape:
        tape.watch(product)
        y = product * product
    np.testing.assert_array_equal(tape.gradient(y, product).numpy(), 2 * product.numpy())


class Child(tf.Tensor):
    pass


def child():
    made = Child.__new__(Child)
    made._value, made._dtype, made._mark = A._value, A._dtype, None
    return made


def strange(array):
    """A tensor of an array as it is, which `constant` would have copied."""
    made = tf.Tensor.__new__(tf.Tensor)
    made._value, made._dtype, made._mark = array, tf.float32, None
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (X,),
        (X, A, A),
        (A, X),
        (X, X),
        (3.0, A),
        (X, None),
        (X, A.numpy()),
        (X, tf.Variable(A)),
        (tf.constant(3), A),
        (tf.constant(3.0, tf.float64), A),
        (X, tf.constant(np.ones((2, 3)))),
        (X, tf.constant(np.ones((3, 2), np.float32))),
        (X, tf.constant(np.ones(6, np.float32))),
        (X, tf.constant(np.ones((1, 2, 3), np.float32))),
        (X, child()),
        (X, strange(np.ones((2, 6), np.float32)[:, ::2])),
        (X, strange(np.ones((3, 2), np.float32).T)),
        (X, strange(np.ones((2, 3), ">f4"))),
        (X, strange(np.frombuffer(bytes(25), np.uint8)[1:].view(np.float32).reshape(2, 3))),
        (X, strange(np.ma.masked_array(np.ones((2, 3), np.float32)))),
        (tf.constant(-1.0), A),  # the step fails
    ],
    ids=repr,
)
def test_it_refuses_what_does_not_fit(scaled, arguments):
    assert scaled.entry(*arguments) is NotImplemented
    assert not scaled.cells[2]
    assert scaled.entry(X, A)[0].numpy() == 9


def test_keywords_are_refused(scaled):
    with pytest.raises(TypeError):
        scaled.entry(x=X, a=A)


NAMES = "bool int8 uint8 int16 int32 uint64 int64 float16 float32 float64 complex64 complex128"


@pytest.mark.parametrize("name", NAMES.split())
def test_scalars_of_every_dtype(name):
    """A step that does nothing: the argument's place is the result's."""
    dtype = np.dtype(name)
    code = compile_text("define void @nothing(ptr %table) { ret void }", ["nothing"])
    cell = np.zeros(1, dtype)
    place = {"dtype": dtype, "shape": (), "cell": cell.ctypes.data}
    entry = make_entry(code["nothing"], 0, [Argument(**place)], [Result(**place)], keep=(code, cell))
    for number in (0, 1, 100):
        with np.errstate(all="ignore"):
            value = np.asarray(number).astype(dtype)[()]
        result = entry(tf.constant(value))
        assert result._value.__class__ is dtype.type and result._value == value
        assert result.dtype == tf.as_dtype(name)
    if name == "bool":
        assert entry(tf.constant(True))._value is np.True_


def test_a_dtype_whose_scalars_are_not_numpys_has_no_fast_call():
    assert make_entry(0, 0, [Argument(np.dtype(tf.bfloat16.as_numpy_dtype), ())], []) is None


def test_references_are_counted(scaled):
    watched = [NotImplemented, tf.float32, np.float32, tf.Tensor, X, A, X._value, A._value, np.empty]
    before = [sys.getrefcount(thing) for thing in watched]
    for _ in range(5000):
        scaled.entry(X, A)
        scaled.entry(A, X)
        scaled.entry(tf.constant(-1.0), A)
    assert [abs(sys.getrefcount(thing) - count) < 50 for thing, count in zip(watched, before, strict=True)] == [True] * len(
        watched
    )


def test_everything_goes_with_the_function(scaled):
    code = weakref.ref(scaled.code)
    entry, scaled.code = scaled.entry, None
    del scaled.entry
    gc.collect()
    assert code() is not None and entry(X, A)[0].numpy() == 9
    del entry
    assert code() is None


def test_the_text_holds_no_addresses(scaled):
    """So that another process finds it in the disk cache."""
    assert Scaled().entry is not scaled.entry
    keys = {made.entry.__self__.kept[0].keys for made in (scaled, Scaled())}
    assert len(keys) == 1


# Variables


class Training:
    """entry(g): w -= rate * g of a [2, 3] variable, steps += 1 of an int64 one; returns rate. rate = -1 is a failure."""

    def __init__(self, release=False, failed=None):
        module = Module()
        with module.function("train", [("table", PTR)]) as f:
            (table,) = f.arguments
            cells, gradient, weights = (f.load(table + 8 * slot, PTR) for slot in range(3))
            rate = f.load(cells, F32)
            f.store(f.load(cells + 8, I64) + 1, cells + 8)
            with f.when(rate.equals(-1.0)):
                f.store(f.constant(I64, 7), cells + 16)
            with f.loop(0, 6) as loop:
                place = weights + loop.index * 4
                f.store(f.load(place, F32) - rate * f.load(gradient + loop.index * 4, F32), place)
        self.code = compile_text(str(module), ["train"])
        self.cells, self.table = np.zeros(3, np.int64), np.zeros(3, np.int64)
        at = self.table[0] = self.cells.ctypes.data
        self.weights, self.steps, self.rate = (
            tf.Variable(np.ones((2, 3), "f")),
            tf.Variable(5, dtype=tf.int64),
            tf.Variable(0.5),
        )
        self.entry = make_entry(
            self.code["train"], self.table.ctypes.data,
            [Argument(F4, (2, 3), slot=1)], [Result(F4, (), cell=at)],
            held=[
                Held(self.weights, F4, (2, 3), slot=2, written=True),
                Held(self.steps, np.dtype("i8"), (), cell=at + 8, written=True),
                Held(self.rate, F4, (), cell=at),
            ],
            failures=[at + 16], failed=failed, release=release, keep=(self.code, self.cells, self.table),
        )  # fmt: skip


@pytest.mark.parametrize("release", [False, True])
def test_variables_are_read_and_changed_in_place(release):
    made = Training(release)
    place = made.weights._tensor._value.ctypes.data
    for turn in range(1, 4):
        assert made.entry(A).numpy() == 0.5
        np.testing.assert_allclose(made.weights.numpy(), 1 - 0.5 * turn * A.numpy())
        assert made.steps.numpy() == 5 + turn and made.steps.dtype == tf.int64
        assert made.weights._tensor._value.ctypes.data == place


def test_a_value_that_was_read_does_not_change():
    made = Training()
    seen, array = made.weights.value(), made.weights.numpy()
    assert made.entry(A) is NotImplemented
    del seen
    assert made.entry(A) is not NotImplemented
    np.testing.assert_array_equal(array, 1)
    step = made.steps.value()
    made.entry(A)
    assert step.numpy() == 6 and made.steps.numpy() == 7


def test_a_variable_that_views_another_array_is_refused():
    made = Training()
    base = np.ones((2, 3), "f")
    made.weights._tensor = strange(base[:])
    assert made.entry(A) is NotImplemented
    base.flags.writeable = False
    made.weights._tensor = strange(np.ones((2, 3), "f"))
    made.weights._tensor._value.flags.writeable = False
    assert made.entry(A) is NotImplemented


def test_a_changed_variable_is_another_tensor_to_tapes():
    made = Training()
    with tf.GradientTape(persistent=True) as tape:
        before = made.weights * 1.0
    assert made.weights._tensor._mark is not None
    del tape, before
    made.entry(A)
    assert made.weights._tensor._mark is None


def test_variables_of_another_kind_are_refused():
    made = Training()
    made.rate._tensor = tf.constant(0.5, tf.float64)
    assert made.entry(A) is NotImplemented
    made.rate._tensor = tf.constant(0.5)
    made.steps._tensor = tf.constant([1, 2], tf.int64)
    assert made.entry(A) is NotImplemented
    del made.steps._tensor
    with pytest.raises(AttributeError):
        made.entry(A)
    np.testing.assert_array_equal(made.weights.numpy(), 1)


@pytest.mark.parametrize("release", [False, True])
def test_a_failed_step_with_effects_raises(release):
    def fail():
        made.cells[2] = 0
        raise tf.errors.InvalidArgumentError(None, None, "the step failed")

    made = Training(release, fail)
    made.rate.assign(-1.0)
    for _ in range(3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="the step failed"):
            made.entry(A)
    made.rate.assign(0.5)
    assert made.entry(A).numpy() == 0.5


def test_other_threads_run_while_a_step_does():
    """Two entries of long steps run at once; one that is called again meanwhile refuses."""
    code = compile_text(
        "declare i32 @usleep(i32)\ndefine void @nap(ptr %t) { %r = call i32 @usleep(i32 200000)  ret void }", ["nap"]
    )
    cell = np.zeros(1, np.float32)
    place = {"dtype": F4, "shape": (), "cell": cell.ctypes.data}
    made = [
        make_entry(code["nap"], 0, [Argument(**place)], [Result(**place)], release=True, keep=(code, cell)) for _ in range(2)
    ]
    results = []
    threads = [
        threading.Thread(target=lambda entry=entry: results.append(entry(X))) for entry in (made[0], made[0], made[1])
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - start < 0.39
    assert sum(result is NotImplemented for result in results) == 1
    assert made[0](X) is not NotImplemented


@pytest.mark.parametrize("release", [False, True])
def test_references_to_variables_are_counted(release):
    made = Training(release)
    made.rate.assign(0.0)
    watched = [made.weights, made.weights._tensor, made.weights._tensor._value, made.rate._tensor, np.int64, np.float32, A]
    before = [sys.getrefcount(thing) for thing in watched]
    del watched[1:3]  # for what is held elsewhere is refused
    for _ in range(5000):
        assert made.entry(A) is not NotImplemented
    watched[1:1] = [made.weights._tensor, made.weights._tensor._value]
    after = [sys.getrefcount(thing) for thing in watched]
    assert [abs(a - b) < 50 for a, b in zip(after, before, strict=True)] == [True] * len(watched)
