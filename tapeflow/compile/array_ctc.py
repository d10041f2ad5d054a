"""The paths of connectionist temporal classification in native code: one example after another, its states in vectors."""

from tapeflow.compile.array_scan import log_add
from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.text import F64
from tapeflow.compile.vector_math import INF
from tapeflow.ops.ctc import FORBIDDEN

EDGE = 2  # places before and after the states, for moves of one and two
SIZE = F64.bytes


class Row:
    """The states of an example in memory of the thread, with nothing before and behind them."""

    def __init__(self, f, pointer, states, lanes):
        self.f, self.states, self.lanes = f, states, lanes
        self.first = pointer + EDGE * SIZE
        for place in range(EDGE):
            for i in (place - EDGE, states + place):
                f.store(f.constant(F64, -INF), self.first + i * SIZE)

    def load(self, i, moved=0):
        """The vector that begins at state i, or `moved` behind it."""
        return self.f.load(self.first + (i + moved) * SIZE, F64.vector(self.lanes))

    def store(self, value, i):
        """Write a vector."""
        self.f.store(value, self.first + i * SIZE)

    def each(self):
        """A loop over all vectors."""
        return self.f.loop(0, self.states, self.lanes)

    def log_sum(self):
        """The logarithm of the sum of the exponentials of all states, in every lane."""
        f, type = self.f, F64.vector(self.lanes)
        with f.loop(0, self.states, self.lanes, carry=[f.constant(type, -INF)]) as loop:
            loop.next = [f.maximum(loop.values[0], self.load(loop.index))]
        top = f.splat(f.reduce(loop.results[0], f.maximum), self.lanes)
        with f.loop(0, self.states, self.lanes, carry=[f.constant(type, 0)]) as loop:
            loop.next = [loop.values[0] + FUNCTIONS["exp"](f, self.load(loop.index) - top)]
        total = f.splat(f.reduce(loop.results[0], lambda a, b: a + b), self.lanes)
        return top + FUNCTIONS["log"](f, total)


def _paths(call):
    """Forward and backward log probabilities of all states at all frames, as `ops/ctc.py` has them."""
    emitted, skips, final, lengths = call.inputs
    frames, batch, states = emitted.dims
    lanes = call.module.target.vector_bytes // SIZE
    room = (states + 2 * EDGE) * SIZE
    call.kernel.scratch = 3 * room
    with call.phase(batch) as f:
        example, scratch = f.arguments[1], f.arguments[2]
        row, ahead, skip = [Row(f, scratch + i * room, states, lanes) for i in range(3)]
        length = f.convert(lengths.load(f, call.pointer(f, lengths) + example * lengths.size), f.index(0).type)
        emissions, forward = call.pointer(f, emitted), call.pointer(f, call.outputs[0])
        ends = call.pointer(f, final) + example * (states * SIZE)
        allowed = call.pointer(f, skips) + example * (states * SIZE)

        def at(array, frame, i):
            return array + ((frame * batch + example) * states + i) * SIZE

        def vector(place):
            return f.load(place, F64.vector(lanes))

        def step(x, first, second, rest):
            """Stay, move one state, or move two where allowed; every other move is forbidden, not impossible."""
            return log_add(f, log_add(f, x, rest), log_add(f, first, second))

        def keep(array, frame):
            with row.each() as loop:
                f.store(row.load(loop.index), at(array, frame, loop.index))

        with row.each() as loop:
            i = loop.index
            skip.store(vector(allowed + i * SIZE), i)
            row.store(vector(at(emissions, 0, i)) + FORBIDDEN, i)
        for i in range(EDGE):
            f.store(f.load(at(emissions, 0, i), F64), row.first + i * SIZE)
        keep(forward, 0)
        with f.loop(1, frames) as loop:
            frame = f.index(loop.index)

            def on():
                rest = row.log_sum() + FORBIDDEN
                with row.each() as loop:
                    i = loop.index
                    moved = step(row.load(i), row.load(i, -1), row.load(i, -2) + skip.load(i), rest)
                    ahead.store(moved + vector(at(emissions, frame, i)), i)
                f.copy(row.first, ahead.first, states * SIZE)

            with f.when(frame < length):
                on()
            keep(forward, frame)

        if call.outputs[1].number is None:
            return  # nobody asks for the gradient
        backward = call.pointer(f, call.outputs[1])
        f.copy(row.first, ends, states * SIZE)
        keep(backward, frames - 1)
        with f.loop(1, frames) as loop:
            frame = (frames - 1) - f.index(loop.index)
            with f.when(frame + 1 < length):
                with row.each() as each:
                    i = each.index
                    ahead.store(row.load(i) + vector(at(emissions, frame + 1, i)), i)
                rest = ahead.log_sum() + FORBIDDEN
                with row.each() as each:
                    i = each.index
                    moved = step(ahead.load(i), ahead.load(i, 1), ahead.load(i, 2) + skip.load(i, 2), rest)
                    row.store(moved, i)
            keep(backward, frame)


CTC = {"ctc_paths": ArrayOp(lambda node: True, _paths)}

__all__ = ["CTC"]
