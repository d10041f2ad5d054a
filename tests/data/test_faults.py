"""What goes wrong in a pipeline: errors name their place, and nothing is left behind: threads, generators, files, memory."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from waiting import eventually

import tapeflow as tf

Dataset = tf.data.Dataset
INT = tf.TensorSpec([], tf.int64)


def pipeline_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("tf.data")]


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    gc.collect()
    assert eventually(lambda: not pipeline_threads())


class Numbers:
    """A generator function that tells what became of it."""

    def __init__(self, count=10**9):
        self.count = count
        self.given = self.closed = 0

    def __call__(self):
        try:
            for i in range(self.count):
                self.given += 1
                yield i
        finally:
            self.closed += 1

    def dataset(self):
        return Dataset.from_generator(self, output_signature=INT)


def inverse(x):
    return tf.debugging.check_numerics(1.0 / (3.0 - tf.cast(x, tf.float32)), "inverse")


# Errors


def line_of(text):
    """This file and the line that holds `text`."""
    lines = Path(__file__).read_text().splitlines()
    return f"{Path(__file__).name}:{next(i for i, line in enumerate(lines, 1) if text in line)}"


@pytest.mark.parametrize("calls", [None, 2, tf.data.AUTOTUNE])
def test_an_error_names_the_element_and_the_line_of_the_dataset(calls):
    dataset = Dataset.range(6).map(inverse, num_parallel_calls=calls)  # the failing dataset
    iterator = iter(dataset)
    assert [round(float(next(iterator)), 2) for _ in range(3)] == [0.33, 0.5, 1.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="inverse : Tensor had Inf values") as caught:
        next(iterator)
    assert "element 3 of Dataset.map()" in str(caught.value)
    assert line_of("# the failing dataset") in str(caught.value)
    assert [float(x) for x in iterator] == [-1.0, -0.5]  # it goes on


def test_an_error_in_a_batch_names_the_element():
    dataset = Dataset.from_tensor_slices([4, 2, 0, 5]).map(lambda x: 8 // x).batch(3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"element 2 of Dataset.map\(\)"):
        next(iter(dataset))


def test_an_error_in_a_python_function():
    def fail(x):
        raise KeyError(f"no {int(x)}")

    dataset = Dataset.range(3).map(lambda x: tf.py_function(fail, [x], tf.int64))
    with pytest.raises(tf.errors.UnknownError, match=r"no 0[\s\S]*element 0 of Dataset.map\(\)"):
        next(iter(dataset))


def test_an_error_of_a_generator_names_the_element():
    def numbers():
        yield 1
        raise OSError("the disk is gone")

    iterator = iter(Dataset.from_generator(numbers, output_signature=INT))
    assert int(next(iterator)) == 1
    with pytest.raises(tf.errors.UnknownError, match=r"the disk is gone[\s\S]*element 1 of Dataset.from_generator"):
        next(iterator)
    with pytest.raises(StopIteration):
        next(iterator)


def test_a_stop_iteration_of_a_user_is_no_end():
    def stop(x):
        raise StopIteration

    dataset = Dataset.range(3).map(lambda x: tf.py_function(stop, [x], tf.int64))
    with pytest.raises(tf.errors.OutOfRangeError):
        next(iter(dataset))


# Threads


@pytest.mark.parametrize(
    "make",
    [
        lambda source: source.prefetch(4),
        lambda source: source.map(lambda x: tf.numpy_function(lambda v: v + 1, [x], tf.int64), num_parallel_calls=3),
        lambda source: source.interleave(lambda x: Dataset.range(10).map(inverse), 3, num_parallel_calls=2),
        lambda source: source.batch(2).prefetch(1).prefetch(1).unbatch().shuffle(3).prefetch(1),
    ],
    ids=["prefetch", "map", "interleave", "several"],
)
def test_a_consumer_that_walks_away_leaves_no_thread(make):
    numbers = Numbers()
    iterator = iter(make(numbers.dataset()))
    next(iterator)
    assert pipeline_threads()
    del iterator
    assert eventually(lambda: not pipeline_threads())
    assert numbers.closed == 1


def test_automatic_prefetch_has_a_thread_for_slow_elements_alone():
    quick = iter(Dataset.range(100).prefetch(tf.data.AUTOTUNE))
    assert [int(next(quick)) for _ in range(20)] == list(range(20))
    assert not pipeline_threads()
    wait = lambda x: tf.numpy_function(lambda v: time.sleep(0.005) or v, [x], tf.int64)  # noqa: E731
    slow = iter(Dataset.range(20).map(wait).prefetch(tf.data.AUTOTUNE))
    assert [int(next(slow)) for _ in range(5)] == list(range(5))
    assert pipeline_threads()
    assert [int(x) for x in slow] == list(range(5, 20))
    del slow
    assert eventually(lambda: not pipeline_threads())


def test_an_error_of_the_consumer_leaves_no_thread():
    numbers = Numbers()

    def consume():
        for x in numbers.dataset().prefetch(2):
            if int(x) == 5:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        consume()
    assert eventually(lambda: numbers.closed == 1)


def test_a_program_ends_with_threads_at_work():
    program = """
    import time
    import tapeflow as tf
    iterator = iter(tf.data.Dataset.range(9).map(
        lambda x: tf.numpy_function(lambda v: time.sleep(0.05) or v, [x], tf.int64), num_parallel_calls=2).prefetch(2))
    print(int(next(iterator)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_parallel_calls_run_at_the_same_time():
    barrier = threading.Barrier(3, timeout=20)  # passes only where three calls wait in it together

    def wait(x):
        barrier.wait()
        return x

    dataset = Dataset.range(6).map(lambda x: tf.numpy_function(wait, [x], tf.int64), num_parallel_calls=3)
    assert [int(x) for x in dataset] == [0, 1, 2, 3, 4, 5]


def test_results_come_as_they_are_ready_where_order_does_not_matter():
    go_on = threading.Event()

    def wait(x):
        if x == 0:
            assert go_on.wait(20)
        return x

    dataset = Dataset.range(4).map(
        lambda x: tf.numpy_function(wait, [x], tf.int64), num_parallel_calls=2, deterministic=False
    )
    iterator = iter(dataset)
    first = int(next(iterator))
    go_on.set()
    assert first != 0
    assert sorted([first, *[int(x) for x in iterator]]) == [0, 1, 2, 3]


def test_options_say_whether_order_matters():
    options = tf.data.Options()
    options.deterministic = False
    dataset = Dataset.range(4).map(lambda x: tf.numpy_function(lambda v: v, [x], tf.int64), num_parallel_calls=2)
    assert sorted(int(x) for x in dataset.with_options(options)) == [0, 1, 2, 3]


def test_interleaved_datasets_are_read_at_the_same_time():
    barrier = threading.Barrier(2, timeout=20)

    def wait(x):
        barrier.wait()
        return x

    def slow(x):
        return Dataset.from_tensors(x).map(lambda y: tf.numpy_function(wait, [y], tf.int64))

    dataset = Dataset.range(4).interleave(slow, cycle_length=2, num_parallel_calls=2)
    assert [int(x) for x in dataset] == [0, 1, 2, 3]


# Bounds


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda source: source.prefetch(5), 6),
        (lambda source: source.map(lambda x: tf.numpy_function(lambda v: v, [x], tf.int64), num_parallel_calls=3), 4),
        (lambda source: source.map(lambda x: x + 1), 1),
        (lambda source: source.shuffle(7), 7),
        (lambda source: source.batch(4), 4),
        (lambda source: source.batch(4).prefetch(2), 12),
        (lambda source: source.window(3, shift=1).flat_map(lambda w: w.batch(3)), 3),
    ],
    ids=["prefetch", "parallel", "map", "shuffle", "batch", "batch_prefetch", "window"],
)
def test_no_more_is_read_than_the_buffers_hold(make, most):
    numbers = Numbers()
    iterator = iter(make(numbers.dataset()))
    next(iterator)
    time.sleep(0.1)  # threads would go on if they could
    assert 0 < numbers.given <= most
    del iterator


def test_nothing_is_read_before_it_is_asked_for():
    numbers = Numbers()
    iterator = iter(numbers.dataset().prefetch(3))
    time.sleep(0.05)
    assert numbers.given == 0
    del iterator


# Generators


@pytest.mark.parametrize(
    "make",
    [
        lambda source: source.take(3),
        lambda source: source.take_while(lambda x: x < 3),
        lambda source: source.prefetch(1).take(2),
        lambda source: Dataset.zip((source, Dataset.range(2))),
    ],
    ids=["take", "take_while", "prefetch", "zip"],
)
def test_generators_are_closed(make):
    numbers = Numbers()
    for _ in make(numbers.dataset()):
        pass
    assert eventually(lambda: numbers.closed == 1)


def test_a_generator_is_closed_where_its_element_does_not_fit():
    closed = []

    def wrong():
        try:
            yield "text"
        finally:
            closed.append(True)

    iterator = iter(Dataset.from_generator(wrong, output_signature=INT))
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iterator)
    del iterator
    gc.collect()
    assert closed


# Files


def test_a_pass_that_is_not_complete_leaves_no_file(tmp_path):
    dataset = Dataset.range(5).cache(str(tmp_path / "kept"))
    iterator = iter(dataset)
    next(iterator)
    del iterator
    assert not list(tmp_path.iterdir())
    assert [int(x) for x in dataset] == [0, 1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("kind", ["cache", "snapshot", "save"])
def test_a_killed_write_is_not_read_as_whole(tmp_path, kind):
    path = tmp_path / "kept"
    tail = ".save(path)" if kind == "save" else f".{kind}(path)"
    program = f"""
    import os, signal
    import tapeflow as tf
    path = {str(path)!r}
    def numbers():
        for i in range(1000):
            if i == 500:
                os.kill(os.getpid(), signal.SIGKILL)
            yield i
    source = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int64))
    for _ in source{tail}:
        pass
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) and not path.exists()  # what was written is there, under another name
    if kind == "save":
        with pytest.raises(tf.errors.NotFoundError, match="Could not find a saved dataset"):
            Dataset.load(str(path))
    else:
        assert [int(x) for x in getattr(Dataset.range(3), kind)(str(path))] == [0, 1, 2]


@pytest.mark.parametrize("cut", [5, 40, -9, -1])
def test_a_file_that_is_cut_off(tmp_path, cut):
    path = tmp_path / "kept"
    dataset = Dataset.range(20).cache(str(path))
    list(dataset)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(tf.errors.DataLossError, match=r"kept: .* at offset \d+"):
        list(dataset)


@pytest.mark.parametrize("place", [2, 30, 60, 100, -3])
def test_a_file_that_is_damaged(tmp_path, place):
    path = tmp_path / "kept"
    dataset = Dataset.range(20).cache(str(path))
    list(dataset)
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(bytes(content))
    with pytest.raises((tf.errors.DataLossError, tf.errors.InvalidArgumentError), match="kept"):
        list(dataset)


def test_a_header_that_is_no_spec(tmp_path):
    Dataset.range(3).save(str(tmp_path / "saved"))
    (tmp_path / "saved" / "dataset.json").write_text('{"spec": {"tensor": [[1]]}, "count": 3}')
    with pytest.raises(tf.errors.DataLossError, match=r"dataset\.json cannot be read"):
        Dataset.load(str(tmp_path / "saved"))


def test_elements_of_another_type(tmp_path):
    list(Dataset.range(3).cache(str(tmp_path / "kept")))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"holds elements of types \[tf.int64\]"):
        list(Dataset.from_tensor_slices([1.0]).cache(str(tmp_path / "kept")))


# Many iterators


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts what the system says")
def test_many_iterators_opened_and_dropped(tmp_path):
    data = np.ones((64, 64, 64), np.float32)  # 1 MB
    list(Dataset.from_tensor_slices(data).cache(str(tmp_path / "kept")))

    def open_and_drop():
        source = Dataset.from_tensor_slices(data).map(lambda x: x * 2).shuffle(32).batch(4)
        for dataset in (
            source.prefetch(2),
            source.map(lambda x: tf.numpy_function(np.copy, [x], tf.float32), num_parallel_calls=2),
            Dataset.range(9).interleave(lambda x: Dataset.range(x + 3), 2, num_parallel_calls=2),
            Dataset.from_tensor_slices(data).cache(str(tmp_path / "kept")).batch(2).prefetch(1),
            Numbers().dataset().prefetch(2),
        ):
            iterator = iter(dataset)
            next(iterator)

    def settled():
        gc.collect()
        assert eventually(lambda: not pipeline_threads())
        return resident_bytes(), len(os.listdir("/proc/self/fd"))

    for _ in range(10):
        open_and_drop()
    memory, files = settled()
    for _ in range(60):
        open_and_drop()
    more_memory, more_files = settled()
    assert more_files <= files
    assert more_memory - memory < 20e6  # 60 rounds hold some 300 MB in their buffers
