"""Products in loops of known turns that need not wait for the turns: made for all of them at once, before the loop or after it.

`x[i] @ w` of an array and a matrix that the loop does not change becomes a row of one product before the loop. A sum over the
turns of `a_i^T b_i`, as a gradient's loop adds up for a weight, becomes one product after it: the turns store their rows. What
it adds up of these rows for a bias becomes one sum.
A recurrent layer has all but one of its products so, and large products run at the machine's peak where small ones do not.
A matrix that every turn reads transposed is transposed once.
"""

from tapeflow.compile.grown import Turns, grown
from tapeflow.compile.internal import ROW
from tapeflow.compile.rebuild import operands, rebuilt, users_of
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


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


class _Loop(Turns):
    """What of a loop can be hoisted.

    Attributes:
        before: each node of the body that is a row of a product before the loop -> (its array, its counter).
        after: position of each loop value that is a sum of products -> its `_Sum`.
        turned: each node of the body whose second operand is read transposed -> that operand's position.
    """

    def __init__(self, inputs, attrs):
        super().__init__(inputs, attrs)
        self.before, self.after, self.turned = {}, {}, {}
        if not self.turns:
            return
        for node in self.body.nodes:
            row = self.row(node.inputs[0]) if node.op.name == "matmul" else None
            if row and self._is_hoisted(node):
                self.before[node] = row
            elif node.op.name == "matmul" and self._is_turned(node):
                self.turned[node] = node.inputs[1].index
        users = users_of(self.body.nodes)
        for find in self._product_sum, self._row_sum:
            for k in range(self.count):
                found = self._summed(k, users)
                found = found and find(*found)
                if found is not None:
                    self.after[k] = found

    def _is_hoisted(self, node):
        a, b = node.inputs
        known = a.dims is not None and len(a.dims) == 2 and b.dims is not None and len(b.dims) == 2
        return known and not node.attrs.get("transpose_a") and self.is_invariant(b) and self.fits(node.outputs[0])

    def _is_turned(self, node):
        b = node.inputs[1]
        known = b.dims is not None and len(b.dims) == 2 and None not in b.dims
        return known and node.attrs.get("transpose_b") and b.__class__ is not Tensor and self.is_invariant(b)

    def _summed(self, k, users):
        """The node of whose results loop value `k` is the sum, and nobody else looks at it; with the value that this becomes."""
        value, out = self.body.inputs[k], self.body.outputs[k]
        add = self.node(out)
        if add is None or add.op.name != "add" or not self.counters:
            return None
        others = [x for x in add.inputs if x is not value]
        summand = self.node(others[0]) if len(others) == 1 else None
        if summand is None or out.dims != summand.outputs[0].dims:
            return None
        if users.get(id(value)) != [add] or users.get(id(out)) or sum(x is out for x in self.body.outputs) > 1:
            return None
        if any(x is self.attrs["cond"].inputs[k] for node in self.attrs["cond"].nodes for x in operands(node)):
            return None
        return summand, out

    def _product_sum(self, product, out):
        """The `_Sum` of products a^T b."""
        if product.op.name != "matmul" or not product.attrs.get("transpose_a") or product.attrs.get("transpose_b"):
            return None
        a, b = product.inputs
        if any(not self.fits(x) or len(x.dims) != 2 for x in (a, b)):
            return None
        rows = [self.row(x) for x in (a, b)]
        counters = [row[1] for row in rows if row] or [min(self.counters)]
        if (
            len({self.counters[counter] for counter in counters}) > 1
        ):  # row i of one is not of the turn of row i of the other
            return None
        stored = sum(x.dims[0] * x.dims[1] for x, row in zip((a, b), rows, strict=True) if row is None)
        if stored > 2 * out.dims[0] * out.dims[1]:  # what adding up in the loop reads and writes
            return None
        return _Sum(product, (a, b), rows, counters[0])

    def _row_sum(self, node, out):
        """The `_Sum` of sums over rows, where the turns store those anyway."""
        if node.op.name != "sum_to" or len(out.dims) != 1 or len(node.inputs[0].dims) != 2:
            return None
        (x,) = node.inputs
        for total in self.after.values():
            for value, row in zip(total.values, total.rows, strict=True):
                if value is x:
                    return _Sum(node, (x,), [row], total.counter)
        return None

    # The new loop

    def written(self, builder, node):
        """The results of the loop without what is hoisted."""
        invariants, products, matrices = [], {}, {}  # position of a node, or of a matrix -> that of its array among them
        with builder.tracing(node.line):
            for product, (array, _) in self.before.items():
                b = product.inputs[1]
                b = b if b.__class__ is Tensor else self.inputs[b.index]
                products[product] = len(invariants)
                invariants.append(P.matmul(self.inputs[array], b, **product.attrs))
            for b in self.turned.values():
                if b not in matrices:
                    matrices[b] = len(invariants)
                    invariants.append(P.transpose(self.inputs[b], perm=(1, 0)))

        def visit(inner, node, more):
            if node in products:
                counter = inner.new[id(self.body.inputs[self.before[node][1]])]
                return inner.add(ROW, (more[products[node]], counter), {}, node.line)
            if node in self.turned:
                pair = inner.value(node.inputs[0]), more[matrices[self.turned[node]]]
                return inner.copy(node, pair, {**node.attrs, "transpose_b": False})
            return None

        stored = self._stored()
        outputs = [self.body.inputs[k] if k in self.after else x for k, x in enumerate(self.body.outputs)]
        found = grown(builder, self, node, invariants, list(stored.values()), visit, outputs)
        results = list(found[: self.count])
        arrays = dict(zip(stored, found[self.count :], strict=True))
        for k, total in self.after.items():
            with builder.tracing(total.node.line):
                rows = [
                    P.reshape(
                        self.inputs[row[0]] if row else arrays[id(x), total.counter],
                        shape=(self.turns * x.dims[0], x.dims[1]),
                    )
                    for x, row in zip(total.values, total.rows, strict=True)
                ]
                results[k] = P.add(results[k], total.node.op(*rows, **total.node.attrs))
        return tuple(results)

    def _stored(self):
        """The values of which each turn stores its row, with the counter that says which: by the id of the one and the other."""
        return {
            (id(x), total.counter): (x, total.counter)
            for total in self.after.values()
            for x, row in zip(total.values, total.rows, strict=True)
            if row is None
        }


class _Sum:
    """A sum over the turns of what a node gives for rows.

    Attributes:
        node: the node; of all rows at once it gives the sum.
        values: its inputs in the body.
        rows: for each the positions of the array and the counter of which it is a row, or None.
        counter: the position of the counter by which the turns store the rows of those that are none.
    """

    def __init__(self, node, values, rows, counter):
        self.node = node
        self.values = values
        self.rows = rows
        self.counter = counter


__all__ = ["hoist_products"]
