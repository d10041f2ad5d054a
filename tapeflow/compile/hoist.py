"""Products in loops of known turns that need not wait for the turns: made for all of them at once, before the loop or after it.

`x[i] @ w` of an array and a matrix that the loop does not change becomes a row of one product before the loop. A sum over the
turns of `a_i^T b_i`, as a gradient's loop adds up for a weight, becomes one product after it: the turns store their rows.
A recurrent layer has all but one of its products so, and large products run at the machine's peak where small ones do not.
A matrix that every turn reads transposed is transposed once.
"""

from tapeflow.compile.internal import ROW, ROW_SET
from tapeflow.compile.memory import bytes_of
from tapeflow.compile.rebuild import Builder, operands, rebuilt, users_of
from tapeflow.compile.trips import counters_of, turns_of
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor

MOST_BYTES = 64 << 20  # of an array that is made for it


def hoist_products(graph):
    """`graph` with the products of its loops before and after them, where that can be."""
    if not any(node.op.name == "while_loop" for node in graph.nodes):
        return graph
    return rebuilt(graph, _visit)


def _visit(builder, node, inputs, attrs):
    if node.op.name != "while_loop":
        return None
    loop = _Loop(inputs, attrs)
    return loop.written(builder, node) if loop.before or loop.after or loop.turned else None


class _Loop:
    """What of a loop can be hoisted.

    Attributes:
        before: position of each node of the body that is a row of a product before the loop -> (its array, its counter).
        after: position of each loop value that is a sum of products -> its `_Sum`.
        turned: position of each node of the body whose second operand is read transposed -> that operand's position.
    """

    def __init__(self, inputs, attrs):
        self.inputs, self.attrs = inputs, attrs
        self.body, self.count = attrs["body"], attrs["count"]
        self.before, self.after, self.turned = {}, {}, {}
        counters = counters_of(inputs, attrs)
        self.turns = turns_of(inputs, attrs, counters)
        if not self.turns:
            return
        # By position those that take each number from 0 to the number of turns once.
        last = self.turns - 1
        self.counters = {k: c for k, c in counters.items() if abs(c.step) == 1 and {c.start, c.after(last)} == {0, last}}
        for position, node in enumerate(self.body.nodes):
            row = self._row(node.inputs[0]) if node.op.name == "matmul" else None
            if row and self._is_hoisted(node):
                self.before[position] = row
            elif node.op.name == "matmul" and self._is_turned(node):
                self.turned[position] = node.inputs[1].index
        users = users_of(self.body.nodes)
        for k in range(self.count):
            found = self._sum(k, users)
            if found is not None:
                self.after[k] = found

    def _node(self, x):
        return None if x.__class__ is Tensor or x.position is None else self.body.nodes[x.position]

    def _is_invariant(self, x):
        return x.__class__ is Tensor or (x.position is None and x.index >= self.count)

    def _row(self, x):
        """The positions of the array and the counter of which a value is a row, if each turn has its own."""
        node = self._node(x)
        if node is None or node.op is not ROW:
            return None
        array, counter = node.inputs
        if not self._is_invariant(array) or array.__class__ is Tensor or array.dims[0] != self.turns:
            return None
        if counter.__class__ is Tensor or counter.position is not None or counter.index not in self.counters:
            return None
        return array.index, counter.index

    def _is_hoisted(self, node):
        a, b = node.inputs
        out = node.outputs[0].dims
        known = a.dims is not None and len(a.dims) == 2 and b.dims is not None and len(b.dims) == 2 and None not in out
        return known and not node.attrs.get("transpose_a") and self._is_invariant(b) and self._fits(node.outputs[0])

    def _is_turned(self, node):
        b = node.inputs[1]
        known = b.dims is not None and len(b.dims) == 2 and None not in b.dims
        return known and node.attrs.get("transpose_b") and b.__class__ is not Tensor and self._is_invariant(b)

    def _fits(self, x):
        return self.turns * bytes_of(x) <= MOST_BYTES

    def _sum(self, k, users):
        """The `_Sum` that loop value `k` is: itself and a product, and nobody else looks at it."""
        value, out = self.body.inputs[k], self.body.outputs[k]
        add = self._node(out)
        if add is None or add.op.name != "add" or not self.counters:
            return None
        others = [x for x in add.inputs if x is not value]
        product = self._node(others[0]) if len(others) == 1 else None
        if product is None or product.op.name != "matmul":
            return None
        if users.get(id(value)) != [add] or users.get(id(out)) or sum(x is out for x in self.body.outputs) > 1:
            return None
        if any(x is self.attrs["cond"].inputs[k] for node in self.attrs["cond"].nodes for x in operands(node)):
            return None
        a, b = product.inputs
        if not product.attrs.get("transpose_a") or product.attrs.get("transpose_b") or out.dims != product.outputs[0].dims:
            return None
        if any(x.dims is None or len(x.dims) != 2 or None in x.dims or not self._fits(x) for x in (a, b)):
            return None
        rows = [self._row(x) for x in (a, b)]
        counters = [row[1] for row in rows if row] or [min(self.counters)]
        if len({self.counters[counter] for counter in counters}) > 1:  # row i of one is not of the turn of row i of the other
            return None
        stored = sum(x.dims[0] * x.dims[1] for x, row in zip((a, b), rows, strict=True) if row is None)
        if stored > 2 * out.dims[0] * out.dims[1]:  # what adding up in the loop reads and writes
            return None
        return _Sum((a, b), rows, counters[0], product.line)

    # The new loop

    def written(self, builder, node):
        """The results of the loop without what is hoisted."""
        states, invariants = list(self.inputs[: self.count]), list(self.inputs[self.count :])
        products, turned = {}, {}  # position of a node -> that of its array among the invariants
        with builder.tracing(node.line):
            for position, (array, _) in self.before.items():
                product = self.body.nodes[position]
                b = product.inputs[1]
                b = b if b.__class__ is Tensor else self.inputs[b.index]
                products[position] = len(invariants)
                invariants.append(P.matmul(self.inputs[array], b, **product.attrs))
            matrices = {}
            for position, b in self.turned.items():
                if b not in matrices:
                    matrices[b] = len(invariants)
                    invariants.append(P.transpose(self.inputs[b], perm=(1, 0)))
                turned[position] = matrices[b]
        stored = self._stored()
        for x, _ in stored.values():
            shape = (self.turns, *x.dims)
            states += builder.add(P.fill, (), {"shape": shape, "value": 0, "dtype": x._dtype}, node.line)
        specs = [[x.spec for x in states], [x.spec for x in invariants]]
        attrs = {
            **self.attrs,
            "cond": self._cond(*specs),
            "body": self._body(*specs, products, turned, stored),
            "count": len(states),
        }
        found = builder.add(node.op, (*states, *invariants), attrs, node.line, specs[0])
        results = list(found[: self.count])
        arrays = dict(zip(stored, found[self.count :], strict=True))
        for k, total in self.after.items():
            with builder.tracing(total.line):
                rows = [
                    P.reshape(
                        self.inputs[row[0]] if row else arrays[id(x), total.counter],
                        shape=(self.turns * x.dims[0], x.dims[1]),
                    )
                    for x, row in zip(total.values, total.rows, strict=True)
                ]
                results[k] = P.add(results[k], P.matmul(*rows, transpose_a=True, transpose_b=False))
        return tuple(results)

    def _stored(self):
        """The values of which each turn stores its row, with the counter that says which: by the id of the one and the other."""
        return {
            (id(x), total.counter): (x, total.counter)
            for total in self.after.values()
            for x, row in zip(total.values, total.rows, strict=True)
            if row is None
        }

    def _placeholders(self, graph, states, invariants):
        """A builder with the placeholders of a new nested graph."""
        inner = Builder(graph.name)
        new = [inner.placeholder(spec, "") for spec in (*states, *invariants)]
        kept = new[: self.count] + new[len(states) :]
        inner.new.update((id(old), x) for old, x in zip(graph.inputs, kept, strict=False))
        return inner, new

    def _cond(self, states, invariants):
        graph = self.attrs["cond"]
        inner, _ = self._placeholders(graph, states, invariants)
        for node in graph.nodes:
            inner.keep(node, inner.copy(node, tuple(map(inner.value, node.inputs)), inner.attrs(node.attrs)))
        inner.graph.outputs = tuple(map(inner.value, graph.outputs))
        return inner.graph

    def _body(self, states, invariants, products, turned, stored):
        inner, new = self._placeholders(self.body, states, invariants)
        for position, node in enumerate(self.body.nodes):
            if position in products:
                counter = inner.new[id(self.body.inputs[self.before[position][1]])]
                found = inner.add(ROW, (new[len(states) + products[position]], counter), {}, node.line)
            elif position in turned:
                pair = inner.value(node.inputs[0]), new[len(states) + turned[position]]
                found = inner.copy(node, pair, {**node.attrs, "transpose_b": False})
            else:
                found = inner.copy(node, tuple(map(inner.value, node.inputs)), inner.attrs(node.attrs))
            inner.keep(node, found)
        outputs = [self.body.inputs[k] if k in self.after else x for k, x in enumerate(self.body.outputs)]
        outputs = list(map(inner.value, outputs))
        for array, (x, counter) in zip(new[self.count :], stored.values(), strict=False):
            number = inner.new[id(self.body.inputs[counter])]
            outputs += inner.add(ROW_SET, (array, number, inner.value(x)), {}, None)
        inner.graph.outputs = tuple(outputs)
        inner.graph.fresh = getattr(self.body, "fresh", set()) | set(range(self.count, len(states)))
        return inner.graph


class _Sum:
    """A sum over the turns of products a^T b.

    Attributes:
        values: a and b in the body.
        rows: for each the positions of the array and the counter of which it is a row, or None.
        counter: the position of the counter by which the turns store the rows of those that are none.
    """

    def __init__(self, values, rows, counter, line):
        self.values = values
        self.rows = rows
        self.counter = counter
        self.line = line


__all__ = ["hoist_products"]
