"""Loops of LLVM text as `with` blocks; `Function.loop` and `Function.forever` make them."""

from tapeflow.compile.values import Value


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
