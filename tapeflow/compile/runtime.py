"""The native half of the thread pool: the functions by which a step shares its tiles out. `pool` is the Python half.

A step calls `tapeflow_begin`, then `tapeflow_run` for each phase, then `tapeflow_end`. A phase has a number of tiles; each
thread has a ticket, a 64-bit word of (number of the phase, tiles left of its share), and a tile is claimed by a
compare-and-exchange of a ticket, one's own first, then those of others. A claim holds the phase open, since the caller
waits until all tiles are done, so that whoever holds one may read what the phase is; and who comes too late finds tickets
of nothing left. The caller never waits for a thread that has not begun.

Publishing a phase to a waiting thread takes 0.15 us; a sleeping one takes 50 to 170 us to wake, so threads wait for some
hundred microseconds before they sleep, and only the first phase after a pause wakes anybody.
"""

from tapeflow.compile import governor
from tapeflow.compile.atomics import exchange_if, fetch, load_atomic, relax, sleep_while, store_atomic, wake_all
from tapeflow.compile.denormals import flush_denormals
from tapeflow.compile.pool_memory import (
    BUSY,
    CURRENT,
    DONE,
    FUNCTION,
    GENERATION,
    LINE,
    LIVE,
    SCRATCH,
    SHARES,
    SLEEPING,
    STOP,
    TABLE,
    THREADS,
    TILES,
)
from tapeflow.compile.text import I32, I64, INDEX, PTR, Module

# A team: what one step holds, on its stack
POOL, OWN_SCRATCH, GOVERNOR, STARTED = 0, 8, 16, 24
TEAM_SIZE = 32

PATIENCE = (
    32768  # turns of waiting before a worker sleeps: 0.4 to 1.6 ms, longer than Python takes between two steps of `fit`
)

# What NumPy calls for memory, each with a context before the arguments that the C library's function has
ALLOCATION = {
    "tapeflow_malloc": ("aligned_alloc", PTR, [INDEX]),
    "tapeflow_calloc": ("calloc", PTR, [INDEX, INDEX]),
    "tapeflow_realloc": ("realloc", PTR, [PTR, INDEX]),
    "tapeflow_free": ("free", None, [PTR]),
}


def declare_runtime(module):
    """Declare the functions that a step calls."""
    module.declare("tapeflow_begin", "void", PTR, INDEX, PTR)
    module.declare("tapeflow_run", "void", PTR, PTR, PTR, INDEX)
    module.declare("tapeflow_end", "void", PTR)


def begin(f, scratch):
    """Emit the beginning of a step whose tiles want so many bytes of scratch memory; the address of its team."""
    declare_runtime(f.module)
    name = f.module.fresh("governor")
    f.module.add(f"@{name} = internal global [{governor.SIZE} x i8] zeroinitializer, align {LINE}")
    team = f.stack(TEAM_SIZE)
    f.line(f"call void @tapeflow_begin(ptr {team}, i64 {scratch}, ptr @{name})")
    return team


def run(f, team, function, table, tiles):
    """Emit a phase: `function(table, tile, scratch)` for every tile of range(tiles); all are done afterwards."""
    declare_runtime(f.module)
    f.line(f"call void @tapeflow_run(ptr {team}, ptr @{function}, ptr {table}, i64 {tiles})")


def run_kernel(f, team, kernel, table):
    """Emit every phase of a `Kernel`."""
    for function, tiles in kernel.phases:
        run(f, team, function, table, tiles)


def end(f, team):
    """Emit the end of a step."""
    f.call("tapeflow_end", None, team)


def runtime_text():
    """The module of these functions."""
    module = Module()
    module.add(f"@{CURRENT} = global ptr null")
    _write_begin(module)
    _write_end(module)
    _write_work(module)
    _write_run(module)
    _write_worker(module)
    _write_stop(module)
    _write_allocator(module)
    return str(module)


def _write_begin(module):
    """Take the pool; where there is none, or another step has it, or the governor says so, the step runs alone.

    Who runs alone has scratch memory of its own.
    """
    module.declare("malloc", PTR, I64)
    with module.function("tapeflow_begin", [("team", PTR), ("bytes", INDEX), ("governor", PTR)]) as f:
        team, size, judge = f.arguments
        null = f.constant(PTR, 0)
        pool = load_atomic(f, f"@{CURRENT}", PTR)
        f.store(null, team + OWN_SCRATCH)
        f.store(null, team + GOVERNOR)

        def take():
            alone = f.load(judge + governor.ALONE, I64).differs(0)
            zero, one = f.constant(I32, 0), f.constant(I32, 1)
            (taken,) = f.choose(
                alone, lambda: [alone], lambda: [exchange_if(f, pool + BUSY, zero, one, "acquire monotonic")]
            )
            with f.when(taken):  # a step that found the pool busy says nothing about either way
                f.store(judge, team + GOVERNOR)
                f.store(governor.clock(f), team + STARTED)
            return [f.where(taken & ~alone, pool, null)]

        (held,) = f.choose(pool.differs(0), take, lambda: [null])
        f.store(held, team + POOL)
        with f.when(held.equals(0) & (size > 0)):
            f.store(f.call("malloc", PTR, f.convert(size + LINE, I64)), team + OWN_SCRATCH)


def _write_end(module):
    module.declare("free", "void", PTR)
    with module.function("tapeflow_end", [("team", PTR)]) as f:
        (team,) = f.arguments
        pool = f.load(team + POOL, PTR)
        with f.when(pool.differs(0)):
            store_atomic(f, f.constant(I32, 0), pool + BUSY)
        judge = f.load(team + GOVERNOR, PTR)
        with f.when(judge.differs(0)):
            governor.account(f, judge, governor.clock(f) - f.load(team + STARTED, I64))
        f.call("free", None, f.load(team + OWN_SCRATCH, PTR))


def _share(f, pool, thread):
    """The line of a thread."""
    return pool + thread * LINE + SHARES


def _write_work(module):
    """Do tiles of the present phase, one's own share first, then of the others', until there are none to claim."""
    arguments = [("pool", PTR), ("thread", INDEX)]
    with module.function("work", arguments, internal=True, attributes="nounwind noinline") as f:
        pool, thread = f.arguments
        threads = f.convert(f.load(pool + THREADS, I32), INDEX)
        scratch = f.load(_share(f, pool, thread) + SCRATCH, PTR)
        with f.loop(0, threads) as loop:
            other = f.urem(thread + loop.index, threads)
            ticket = _share(f, pool, other)
            with f.forever([load_atomic(f, ticket, I64)]) as claims:
                (seen,) = claims.values
                left = seen & 0xFFFFFFFF
                claims.leave_unless(left.differs(0))

                def do(left=left, other=other):
                    tiles = f.load(pool + TILES, INDEX)
                    after = f.udiv(tiles * (other + 1), threads)  # the share ends before this tile
                    function, table = f.load(pool + FUNCTION, PTR), f.load(pool + TABLE, PTR)
                    tile = after - f.convert(left, INDEX)
                    f.line(f"call void {function}({table!r}, {tile!r}, {scratch!r})")
                    fetch(f, "add", pool + DONE, f.constant(I64, 1), "release")

                mine = exchange_if(f, ticket, seen, seen - 1)
                with f.when(mine):
                    do()
                claims.next = [load_atomic(f, ticket, I64)]


def _write_run(module):
    """Publish a phase, work at it, and wait until all its tiles are done."""
    arguments = [("team", PTR), ("function", PTR), ("table", PTR), ("tiles", INDEX)]
    with module.function("tapeflow_run", arguments) as f:
        team, function, table, tiles = f.arguments
        pool = f.load(team + POOL, PTR)

        def alone():
            own = f.load(team + OWN_SCRATCH, PTR)
            own = f.emit(PTR, f"call ptr @llvm.ptrmask.p0.i64(ptr {own + (LINE - 1)}, i64 {-LINE})")
            (scratch,) = f.choose(
                pool.differs(0), lambda: [f.load(_share(f, pool, 0) + SCRATCH, PTR)], lambda: [own]
            )  # fmt: skip
            with f.loop(0, tiles) as loop:
                f.line(f"call void {function}({table!r}, {loop.index!r}, {scratch!r})")

        module.declare("llvm.ptrmask.p0.i64", PTR, PTR, I64)
        f.choose(pool.equals(0) | (tiles < 2), alone, lambda: _together(f, pool, function, table, tiles))


def _together(f, pool, function, table, tiles):
    threads = f.convert(f.load(pool + THREADS, I32), INDEX)
    f.store(function, pool + FUNCTION)
    f.store(table, pool + TABLE)
    f.store(tiles, pool + TILES)
    store_atomic(f, f.constant(I64, 0), pool + DONE, "monotonic")
    number = f.load(pool + GENERATION, I32) + 1
    high = f.convert(number, INDEX, signed=False) << 32
    with f.loop(0, threads) as loop:
        share = f.udiv(tiles * (loop.index + 1), threads) - f.udiv(tiles * loop.index, threads)
        store_atomic(f, high | share, _share(f, pool, loop.index))
    store_atomic(f, number, pool + GENERATION, "seq_cst")
    with f.when(load_atomic(f, pool + SLEEPING, I32, "seq_cst").differs(0)):
        wake_all(f, pool + GENERATION)
    f.call("work", None, pool, f.index(0))
    with f.forever([f.index(0)]) as waiting:
        (turn,) = waiting.values
        waiting.leave_unless(load_atomic(f, pool + DONE, INDEX).differs(tiles))
        relax(f, turn)
        waiting.next = [turn + 1]


def _write_worker(module):
    """What a worker's thread runs: wait for a phase, work at it, again; until it is told to stop."""
    with module.function("tapeflow_worker", [("share", PTR)], PTR) as f:
        (own,) = f.arguments  # its line, where the pool's address and its number stand at first
        pool, thread = f.load(own, PTR), f.load(own + 8, INDEX)
        fetch(f, "add", pool + LIVE, f.constant(I32, 1))
        flush_denormals(f)  # for good: nothing else runs on this thread
        with f.forever([f.constant(I32, 0)]) as phases:
            (seen,) = phases.values
            number = _wait(f, pool, seen)
            phases.leave_unless(load_atomic(f, pool + STOP, I32).equals(0))
            f.call("work", None, pool, thread)
            phases.next = [number]
        fetch(f, "sub", pool + LIVE, f.constant(I32, 1))
        f.ret(f.constant(PTR, 0))


def _wait(f, pool, seen):
    """Wait until the phase's number is another than `seen`; the new number."""
    word = pool + GENERATION
    one = f.constant(I32, 1)
    with f.forever([f.index(0), load_atomic(f, word, I32)]) as waiting:
        turn, number = waiting.values
        waiting.leave_unless(number.equals(seen))
        relax(f, turn)

        def sleep():
            # The caller writes the number, then looks for sleepers; we tell that we sleep, then look at the number. So one
            # of the two sees the other.
            fetch(f, "add", pool + SLEEPING, one)
            with f.when(load_atomic(f, word, I32, "seq_cst").equals(seen)):
                sleep_while(f, word, seen)
            fetch(f, "sub", pool + SLEEPING, one)
            return [f.index(0)]

        (turn,) = f.choose(turn > PATIENCE, sleep, lambda: [turn + 1])
        waiting.next = [turn, load_atomic(f, word, I32)]
    return waiting.results[1]


def _write_stop(module):
    """End a pool's workers, once no step holds it; it stays taken for ever."""
    with module.function("tapeflow_stop", [("pool", PTR)]) as f:
        (pool,) = f.arguments
        one = f.constant(I32, 1)
        with f.forever([f.index(0)]) as waiting:
            (turn,) = waiting.values
            taken = exchange_if(f, pool + BUSY, f.constant(I32, 0), one)
            waiting.leave_unless(taken.equals(0))
            relax(f, turn)
            waiting.next = [turn + 1]
        store_atomic(f, one, pool + STOP)
        fetch(f, "add", pool + GENERATION, one)
        wake_all(f, pool + GENERATION)


def _write_allocator(module):
    """NumPy's functions for memory that begins at a cache line."""
    for name, (function, result, types) in ALLOCATION.items():
        first = [INDEX] if function == "aligned_alloc" else []
        module.declare(function, result or "void", *first, *types)
        with module.function(name, [("context", PTR), *[(f"x{i}", type) for i, type in enumerate(types)]], result) as f:
            arguments = [f.index(LINE)] * len(first) + f.arguments[1:]
            found = f.call(function, result, *arguments)
            if result is not None:
                f.ret(found)
