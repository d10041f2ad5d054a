"""The thread pool: every tile once, for any number of threads, callers, forks and signals."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from native_checks import POINTER

from tapeflow.compile import governor, pool, runtime
from tapeflow.compile.jit import compile_text
from tapeflow.compile.text import I64, INDEX, PTR, Module

INT = ctypes.c_int64


@pytest.fixture(autouse=True)
def same_pool_afterwards():
    before = pool.settings.threads
    yield
    pool.set_thread_count(before)
    pool.ensure()


@pytest.fixture(scope="module")
def step():
    """step(table, tiles, phases): each tile of each phase adds 1 to its number, and writes its scratch memory."""
    module = Module()
    with module.function("tile", [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
        table, tile, scratch = f.arguments
        f.store(f.convert(tile, I64), scratch + 4088)
        place = f.load(table, PTR) + tile * 8
        f.store(f.load(place, I64) + 1, place)
    with module.function("step", [("table", PTR), ("tiles", INDEX), ("phases", INDEX)]) as f:
        table, tiles, phases = f.arguments
        team = runtime.begin(f, 4096)
        with f.loop(0, phases):
            runtime.run(f, team, "tile", table, tiles)
        runtime.end(f, team)
    pool.reserve(4096)
    return compile_text(str(module), ["step"], pool.imports()).function("step", POINTER, INT, INT)


class Numbers:
    """The numbers that a step counts in."""

    def __init__(self, count=1000):
        self.array = np.zeros(count, np.int64)
        self.table = (ctypes.c_uint64 * 1)(self.array.ctypes.data)

    def run(self, step, tiles, phases):
        self.array[:] = 0
        step(ctypes.addressof(self.table), tiles, phases)
        assert (self.array[:tiles] == phases).all() and not self.array[tiles:].any()


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("tiles", [0, 1, 2, 3, 7, 64, 1000])
def test_every_tile_once(step, threads, tiles):
    pool.set_thread_count(threads)
    pool.ensure()
    numbers = Numbers()
    for phases in (0, 1, 50):
        numbers.run(step, tiles, phases)


def test_several_python_threads_at_once(step):
    pool.set_thread_count(2)
    pool.ensure()
    failures = []

    def work():
        try:
            numbers = Numbers()
            for _ in range(300):
                numbers.run(step, 500, 3)
        except BaseException as failure:
            failures.append(failure)

    callers = [threading.Thread(target=work) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


def test_the_number_of_threads_changes_while_steps_run(step):
    stop = threading.Event()
    failures = []

    def work():
        numbers = Numbers()
        try:
            while not stop.is_set():
                numbers.run(step, 300, 5)
        except BaseException as failure:
            failures.append(failure)

    caller = threading.Thread(target=work)
    caller.start()
    for turn in range(40):
        pool.set_thread_count(1 + turn % 4)
        pool.reserve(4096 * (turn + 1))
        pool.ensure()
    stop.set()
    caller.join()
    assert not failures


def test_workers_end_when_the_pool_is_replaced(step):
    pool.set_thread_count(5)
    pool.ensure()
    old = pool._pool
    Numbers().run(step, 100, 10)
    pool.set_thread_count(2)
    pool.ensure()
    for _ in range(1000):
        if old.live == 0:
            break
        signal.sigtimedwait([], 0.005)
    assert old.live == 0


def test_negative_numbers_of_threads_are_refused():
    with pytest.raises(ValueError, match=r"must not be negative, got -1"):
        pool.set_thread_count(-1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_makes_its_own_workers(step):
    pool.set_thread_count(3)
    pool.ensure()
    numbers = Numbers()
    numbers.run(step, 100, 10)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            numbers.run(step, 100, 10)  # before it has workers: alone
            assert pool.settings.stale.value
            pool.ensure()
            numbers.run(step, 100, 1000)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    numbers.run(step, 100, 10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_waits_for_the_runtime_that_is_being_made(tmp_path):
    text = """
    import os
    from tapeflow.compile import pool
    pool.prepare()
    child = os.fork()
    assert pool._code is not None and not pool._preparing.is_alive()
    if child == 0:
        os._exit(0 if pool.imports() and not pool.settings.scratch else 1)
    assert os.waitpid(child, 0)[1] == 0 and pool.imports()
    """
    environment = {**os.environ, "TAPEFLOW_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(text)], env=environment, check=True, timeout=60)


def run_script(text, **options):
    """Run a program with a pool of 4 threads and a step that runs for long."""
    start = """
    import ctypes, os, signal, sys, threading, time
    import numpy as np
    from tapeflow.compile import pool, runtime
    from tapeflow.compile.jit import compile_text
    from tapeflow.compile.text import *
    module = Module()
    with module.function("tile", [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
        with f.loop(0, 1000, carry=[f.constant(F64, 0.5)]) as loop:
            loop.next = [f.sqrt(loop.values[0] + 0.1)]
        f.store(loop.results[0], f.load(f.arguments[0], PTR) + f.arguments[1] * 8)
    with module.function("step", [("table", PTR), ("phases", INDEX)]) as f:
        table, phases = f.arguments
        team = runtime.begin(f, 0)
        with f.loop(0, phases):
            runtime.run(f, team, "tile", table, 64)
        runtime.end(f, team)
    step = compile_text(str(module), ["step"], pool.imports()).function("step", ctypes.c_void_p, ctypes.c_int64)
    numbers = np.zeros(64)
    table = (ctypes.c_uint64 * 1)(numbers.ctypes.data)
    at = ctypes.addressof(table)
    pool.set_thread_count(4)
    pool.ensure()
    step(at, 10)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = textwrap.dedent(start) + textwrap.dedent(text)
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, **options
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "time.sleep(0.05)",  # the workers sleep
        "threading.Thread(target=lambda: [step(at, 100) for _ in range(100000)], daemon=True).start(); time.sleep(0.05)",
        "sys.exit(0)",
    ],
)
def test_the_interpreter_ends_in_peace(text):
    done = run_script(text)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_reaches_python():
    done = run_script("""
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        while True:
            step(at, 10)
    except KeyboardInterrupt:
        print("interrupted")
    step(at, 10)
    """)
    assert (done.returncode, done.stdout) == (0, "interrupted\n")


def test_workers_take_no_signals():
    done = run_script("""
    masks = []
    for task in os.listdir("/proc/self/task"):
        if task != str(os.getpid()):
            lines = open(f"/proc/self/task/{task}/status").read().splitlines()
            masks.append(next(int(line.split()[1], 16) for line in lines if line.startswith("SigBlk")))
    interrupts = [mask >> (signal.SIGINT - 1) & 1 for mask in masks]
    print(sum(interrupts) >= 3)
    """)
    assert done.stdout == "True\n", done.stderr


def decide(times):
    """The governor's choice (1: alone) before each call, for `times(alone, call)` ns of a call."""
    module = Module()
    with module.function("account", [("governor", PTR), ("elapsed", I64)]) as f:
        governor.account(f, *f.arguments)
    account = compile_text(str(module), ["account"]).function("account", POINTER, INT)
    words = np.zeros(governor.SIZE // 8, np.int64)
    choices = []
    for call in range(4000):
        choices.append(int(words[governor.ALONE // 8]))
        account(words.ctypes.data, times(choices[-1], call))
    return np.array(choices)


def test_the_governor_keeps_the_quicker_way():
    assert decide(lambda alone, call: 200_000 if alone else 100_000)[100:].mean() == 0
    assert decide(lambda alone, call: 5_000 if alone else 9_000)[100:].mean() > 0.9


def test_the_governor_sees_busy_cores_come_and_go():
    """Threads that wait for a busy core make a step 10 times slower, and for half of the calls they do."""
    choices = decide(lambda alone, call: 300_000 if alone else (1_500_000 if 1000 < call < 2500 else 150_000))
    assert choices[500:1000].mean() == 0
    assert choices[1100:2500].mean() > 0.8
    assert choices[3200:].mean() == 0


def test_a_long_step_is_not_tried_alone_without_a_reason():
    assert decide(lambda alone, call: 20_000_000 if alone else 10_000_000).sum() == 0
