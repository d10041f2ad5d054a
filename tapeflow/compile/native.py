"""A program that is one native function: how it is run, and the fast call of it."""

import ctypes
import importlib

import numpy as np

from tapeflow.compile import pool
from tapeflow.compile.frame import LARGE, Frame, address, own_buffer
from tapeflow.compile.places import ARENA


class Native:
    """A compiled graph for one set of input shapes, without Python steps.

    Args:
        layout: its `Layout`.
        code: its `Code`.
        name: the native function of the table.

    Attributes:
        native: whether it has no Python steps after all.
    """

    def __init__(self, layout, code, name):
        self.layout = layout
        self.code = code
        self.name = name
        self.native = name is not None
        self.call = code.function(name, ctypes.c_void_p) if self.native else None
        self._frames = []
        pool.reserve(layout.scratch)

    def run(self, values):
        """The graph's outputs for some input values, as ndarrays and NumPy scalars."""
        if pool.settings.stale.value:
            pool.ensure()
        frame = self._frames.pop() if self._frames else self._new_frame()
        try:
            return frame.run(values)
        finally:
            self._frames.append(frame)

    def _new_frame(self):
        return Frame(self.layout, self.call)

    def entry(self, stand_in=None):
        """A builtin function from tensors to tensors; None where there is none.

        It takes as its last argument a variable to use in place of `stand_in`, where there is one.
        """
        layout = self.layout
        if not self.native or not _is_plain(layout):
            return None
        entries = importlib.import_module("tapeflow.compile.entry")  # much to load for a first call
        frame = Frame(layout, self.call)
        base = address(frame.arena)

        def described(kind, spec, slot, offset, *first, **more):
            where = {"cell": base + offset} if slot == ARENA else {"slot": slot}
            return kind(*first, np.dtype(spec.dtype.numpy_dtype), spec.shape, **where, **more)

        for held in layout.held:
            if held.written and held.place.slot != ARENA:
                own_buffer(held.variable)  # the fast call takes buffers as they are
        return entries.make_entry(
            self.code[self.name],
            frame.pointer,
            [described(entries.Argument, spec, place.slot, place.offset) for spec, place in layout.inputs],
            [
                described(entries.Result, x.spec, *((x.place, 0) if x.kind == "new" else (ARENA, x.place)))
                for x in layout.results
            ],
            held=[
                described(
                    entries.Held,
                    held.spec,
                    held.place.slot,
                    held.place.offset,
                    None if held.variable is stand_in else held.variable,
                    written=held.written,
                )
                for held in layout.held
            ],
            failures=[base + offset for offset in layout.failures],
            failed=frame.raise_failures if any(held.written for held in layout.held) else None,
            release=layout.shared,
            refuse_at=ctypes.addressof(pool.settings.stale),
            keep=(self.code, frame),
        )


def _is_plain(layout):
    """Whether all that goes in and comes out has a place of its own."""
    if any(place is None for _, place in layout.inputs):
        return False
    if any(x.kind not in ("new", "cell") or x.spec.shape != x.dims for x in layout.results):
        return False
    if len({x.number for x in layout.results}) != len(layout.results):
        return False
    return all(_bytes(x.spec) < LARGE for x in layout.results)  # whose memory is used again


def _bytes(spec):
    return int(np.prod(spec.shape)) * spec.dtype.size


__all__ = ["Native"]
