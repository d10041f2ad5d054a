"""Control flow of LLVM text: blocks and branches, and loops as `with` blocks."""

import contextlib

from tapeflow.compile.values import Value, literal


class Control:
    """How a `Function` of `text` writes its blocks, branches and loops."""

    def label(self, name):
        """Begin a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def jump(self, name):
        """End the block by going to another."""
        self.line(f"br label %{name}")

    def branch(self, condition, yes, no):
        """End the block by going to one of two."""
        self.line(f"br i1 {condition}, label %{yes}, label %{no}")

    def phi(self, type, *sources):
        """A value by the block that control came from: (value, block) of each."""
        return self.emit(type, f"phi {type} {', '.join(f'[ {value}, %{block} ]' for value, block in sources)}")

    def leave(self):
        """Return at once, from a function without a result; whatever is written next in the block never runs."""
        self.line("ret void")
        self.label(self.name("never"))

    def ret(self, value):
        """Return a value."""
        self.line(f"ret {self.constant(self.result, value)!r}")

    @contextlib.contextmanager
    def when(self, condition):
        """The block runs where a scalar condition holds."""
        yes, end = self.name("when"), self.name("end")
        self.branch(condition, yes, end)
        self.label(yes)
        yield
        self.jump(end)
        self.label(end)

    def choose(self, condition, yes, no):
        """Run one of two Python functions' code by a scalar condition; the lists of values that they return are merged."""
        names = self.name("yes"), self.name("no"), self.name("end")
        self.branch(condition, *names[:2])
        ends = []
        for name, write in zip(names, (yes, no), strict=False):
            self.label(name)
            values = list(write() or ())
            ends.append((values, self.block))
            self.jump(names[2])
        self.label(names[2])
        (first, first_block), (second, second_block) = ends
        blocks = first_block, second_block
        return [a if a is b else self._either(a, b, blocks) for a, b in zip(first, second, strict=True)]

    def _either(self, a, b, blocks):
        type = a.type if a.__class__ is Value else b.type
        return self.phi(type, (self._text(a, b), blocks[0]), (self._text(b, a), blocks[1]))

    def _text(self, a, other):
        return a if a.__class__ is Value else literal(other.type, a)

    def loop(self, start, stop, step=1, carry=()):
        """`for index in range(start, stop, step)`, as a block.

        The block reads `loop.index` and `loop.values`, and sets `loop.next` to the values for the next turn;
        `loop.results` has the last ones afterwards. A loop of exactly one turn that is known now is written without a
        loop, so the index may be a Python int.

        Args:
            start, stop: ints or index values.
            step: a positive int.
            carry: the first of the values that a turn hands to the next.

        Example:
            >>> from tapeflow.compile.text import F32, INDEX, PTR, Module
            >>> module = Module()
            >>> with module.function("total", [("x", PTR), ("n", INDEX)], F32) as f:
            ...     x, n = f.arguments
            ...     with f.loop(0, n, carry=[f.constant(F32, 0)]) as loop:
            ...         loop.next = [loop.values[0] + f.load(x + loop.index * 4, F32)]
            ...     f.ret(loop.results[0])
        """
        return Loop(self, start, stop, step, carry)

    def forever(self, carry):
        """`while True`, as a block that says `loop.leave_unless(condition)` once; `loop.values` and `next` as in `loop`."""
        return Forever(self, carry)


class Carried:
    """What both kinds of loops have: phis whose second source is known only at the end of the block."""

    def __init__(self, function, carry):
        self.function = function
        self.first = list(carry)
        self.next = None

    def _open(self):
        f = self.function
        self.before = f.block
        self.head = f.name("loop")
        f.jump(self.head)
        f.label(self.head)
        self._place = len(f.lines)
        f.lines.extend([""] * len(self.first))
        self.values = [Value(f, x.type, f"%{f.name('c')}") for x in self.first]
        self.next = self.values

    def _close(self):
        f = self.function
        for number, (value, first, last) in enumerate(zip(self.values, self.first, self.next, strict=True)):
            if last.type is not value.type:
                raise TypeError(f"loop value {number} begins as {first!r} and goes on as {last!r}")
            sources = f"[ {first}, %{self.before} ], [ {last}, %{f.block} ]"
            f.lines[self._place + number] = f" {value} = phi {value.type} {sources}"


class Loop(Carried):
    """A counted loop, tested at its end; where the count is not known now, a test stands before it."""

    def __init__(self, function, start, stop, step, carry):
        super().__init__(function, carry)
        self.start, self.stop, self.step = start, stop, step
        self.static = not isinstance(start, Value) and not isinstance(stop, Value)
        self.single = self.static and start < stop <= start + step

    def __enter__(self):
        f = self.function
        if self.single:
            self.index, self.values, self.next = self.start, self.first, self.first
            return self
        self.after = f.name("after")
        self.guard = None
        if not (self.static and self.start < self.stop):
            body, self.guard = f.name("enter"), f.block
            f.branch(f.index(self.start) < self.stop, body, self.after)
            f.label(body)
        self.first.append(f.index(self.start))
        self._open()
        *self.values, self.index = self.values
        self.next = self.values
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return False
        f = self.function
        if self.single:
            self.results = self.next
            return False
        following = self.index + self.step
        again = following < self.stop
        self.next = [*self.next, following]
        self.values = [*self.values, self.index]
        self._close()
        end = f.block
        f.branch(again, self.head, self.after)
        f.label(self.after)
        self.results = self.next[:-1]
        if self.guard is not None:
            pairs = zip(self.first, self.results, strict=False)
            self.results = [f.phi(last.type, (first, self.guard), (last, end)) for first, last in pairs]
        return False


class Forever(Carried):
    """A loop that is left by a test somewhere in it."""

    def __enter__(self):
        self._open()
        self.after = self.function.name("after")
        return self

    def leave_unless(self, condition):
        """Go on only where a scalar condition holds; `results` are the values of this turn."""
        inside = self.function.name("go")
        self.function.branch(condition, inside, self.after)
        self.function.label(inside)

    def __exit__(self, kind, *_):
        if kind is None:
            self._close()
            self.function.jump(self.head)
            self.function.label(self.after)
            self.results = self.values
        return False
