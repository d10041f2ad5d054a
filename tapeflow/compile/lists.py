"""Lists that loops fill or read element by element, as arrays: when it is known how often a loop turns, so is their length.

A list becomes an array whose first axis counts the elements; `list_set` in the loop becomes `row_set`, `list_get` becomes `row`,
as does `x[i]` of an array by the loop's counter. Native loops then write and read the rows where they are.
"""

from tapeflow.compile.internal import EMPTY, ROW, ROW_SET
from tapeflow.compile.rebuild import Builder, rebuilt, users_of
from tapeflow.compile.specialise import folded_node, specialised_node
from tapeflow.compile.trips import counters_of, turns_of
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.core.tensor_list import TensorList


def lists_as_arrays(graph):
    """`graph` with the lists of its loops as arrays, and counters after loops as constants, where that can be known."""
    if not any(node.op.name == "while_loop" for node in graph.nodes):
        return graph
    return rebuilt(graph, _Pass(graph).visit)


class _Pass:
    """One walk.

    Attributes:
        arrays: id of a list in the new graph -> the array that it is.
        identities: the ids of those in which element i is i, as a loop keeps its counter.
        zeros: the ids of those in which nothing is yet, as cotangents begin.
        users: id of a value of the old graph -> the nodes that read it.
    """

    def __init__(self, graph):
        self.arrays = {}
        self.identities, self.zeros = set(), set()
        self.kept = []
        self.users = users_of(graph.nodes)
        self.outputs = {id(x) for x in graph.outputs}

    def visit(self, builder, node, inputs, attrs):
        """The new results of a node."""
        folded = folded_node(node.op, inputs, attrs, node.line)
        if folded is not None:
            return folded
        match node.op.name:
            case "while_loop":
                return self._loop(builder, node, inputs, attrs)
            case "list_from":
                (new,) = builder.copy(node, inputs, attrs)
                self._remember(new, inputs[0])
                return (new,)
            case "list_set" if (array := self._begun(builder, node, inputs)) is not None:
                (new,) = builder.copy(node, inputs, attrs)
                self._remember(new, array)
                return (new,)
            case "list_get" if id(inputs[0]) in self.arrays and inputs[1].__class__ is Tensor:
                array, index = self.arrays[id(inputs[0])], int(inputs[1]._value)
                if 0 <= index < array.dims[0]:
                    with builder.tracing(node.line):
                        return (P.strided_slice(array, key=(index,)),)
            case "zeros_like" if id(inputs[0]) in self.arrays:
                array = self.arrays[id(inputs[0])]
                (new,) = builder.copy(node, inputs, attrs)
                zero = {"shape": array.dims, "value": 0, "dtype": array._dtype}
                self._remember(new, builder.add(P.fill, (), zero, node.line)[0])
                self.zeros.add(id(new))
                return (new,)
            case "list_stack" if id(inputs[0]) in self.arrays:
                array = self.arrays[id(inputs[0])]
                count = attrs["count"]
                if count is None or (isinstance(count, int) and count == array.dims[0]):
                    return (array,)
        if any(x.spec != old.spec for x, old in zip(inputs, node.inputs, strict=True)):
            return specialised_node(builder, node, inputs, attrs)  # an array's length is known where a list's was not
        return None

    def _begun(self, builder, node, inputs):
        """The array of a list with its first element, which stands at a known place; None for any other."""
        length, index, value = length_of(inputs[0]), inputs[1], inputs[2]
        if length is None or index.__class__ is not Tensor or value.dims is None or None in value.dims:
            return None
        before = int(index._value)
        if not 0 <= before < length or value._dtype.element is not None:
            return None
        with builder.tracing(node.line):
            row = P.expand_dims(value, axis=(0,))
            return P.pad(row, paddings=((before, length - 1 - before), *((0, 0),) * len(value.dims)), value=0)

    def _remember(self, x, array):
        if array.dims is not None and None not in array.dims:
            self.arrays[id(x)] = array
            self.kept.append(x)

    def is_read(self, x):
        """Whether anybody reads a value of the old graph."""
        return id(x) in self.outputs or bool(self.users.get(id(x)))

    def _loop(self, builder, node, inputs, attrs):
        counters = counters_of(inputs, attrs)
        turns = turns_of(inputs, attrs, counters)
        if turns is None:
            return None
        form = _Form(self, node, inputs, attrs, counters, turns)
        if not form.fits():
            return self._finished(builder.copy(node, inputs, attrs), counters, turns)
        new_inputs, new_attrs = form.written(builder)
        found = builder.add(node.op, new_inputs, new_attrs, node.line, [x.spec for x in new_attrs["body"].outputs])
        found = list(self._finished(found, counters, turns))
        for k in form.lists:
            (stand,) = builder.add(P.list_from, (found[k],), {}, node.line)  # dropped where nobody reads the list itself
            self._remember(stand, found[k])
            if form.is_identity(k):
                self.identities.add(id(stand))
            found[k] = stand
        return tuple(found)

    def _finished(self, found, counters, turns):
        """The results, with counters as constants."""
        return tuple(
            [
                wrap(x._dtype.type(counters[k].after(turns))) if k in counters and x._dtype.is_integer else x
                for k, x in enumerate(found)
            ]
        )


class _Form:
    """A loop of known turns, and what its lists become.

    Attributes:
        lists: position of each loop value that is a list -> (length, dims of an element, dtype).
        single: those of them that have one element, which each turn writes.
        consumed: position of each loop value that is a list of which each turn takes an element away.
        adders: id of each node that adds a list of one element to a list -> the node that makes the former, and of that node, too.
        rows: id of each node of the body that reads a row: of a list, or of an array by a counter.
    """

    def __init__(self, walk, node, inputs, attrs, counters, turns):
        self.walk, self.node, self.inputs, self.attrs = walk, node, inputs, attrs
        self.counters, self.turns = counters, turns
        self.body = attrs["body"]
        self.count = attrs["count"]
        self.users = users_of(self.body.nodes)
        self.lists = {}
        self.single, self.consumed, self.adders = set(), set(), {}

    def fits(self):
        """Whether every list of the loop can be an array."""
        if any(self._is_list(x) for x in self.attrs["cond"].inputs if id(x) in self._read_by_cond()):
            return False
        for k, x in enumerate(self.body.inputs):
            if not self._is_list(x):
                continue
            if k >= self.count:
                if not self._read_only(k, x):
                    return False
            elif not (self._written(k, x) or self._consumed(k, x) or self._added(k, x)):
                return False
        return bool(self.lists) or any(map(self._is_row, self.body.nodes)) or self._reads_lists()

    def _reads_lists(self):
        return any(self._is_list(x) for x in self.body.inputs[self.count :])

    def _read_by_cond(self):
        return {id(x) for inner in self.attrs["cond"].nodes for x in inner.inputs}

    def _is_list(self, x):
        return x._dtype.element is not None

    def _written(self, k, x):
        """A list that grows by an element in each turn, or is filled by a counter."""
        length = length_of(self.inputs[k])
        begun = self.walk.arrays.get(id(self.inputs[k]))
        if begun is not None:
            length = begun.dims[0]
        out = self.body.outputs[k]
        if length is None or out.__class__ is Tensor or out.position is None:
            return False
        setter = self.body.nodes[out.position]
        if setter.op.name != "list_set" or setter.inputs[0] is not x or self.users.get(id(x)) != [setter]:
            return False
        value, counter = setter.inputs[2], self._counter(setter.inputs[1])
        if value.dims is None or None in value.dims or self._is_list(value):
            return False
        if begun is not None and (begun.dims[1:] != value.dims or begun._dtype is not value._dtype):
            return False
        if length == 1 and _is_zero(setter.inputs[1]) and self.turns and self._users_fit(self.node.outputs[k]):
            self.lists[k] = (length, value.dims, value._dtype)
            self.single.add(k)
            return True
        if counter is None:
            return False
        if setter.attrs["grows"]:
            length = max(length, self.turns)
        if (
            not counter.stays_in(length, self.turns)
            or sum(x is out for x in self.body.outputs) > 1
            or self.users.get(id(out))
        ):
            return False
        if not length or not self._users_fit(self.node.outputs[k]):
            return False
        if begun is not None and length != begun.dims[0]:
            return False
        self.lists[k] = (length, value.dims, value._dtype)
        return True

    def _users_fit(self, out):
        """Whether whoever reads the list after the loop can do with an array."""
        if id(out) in self.walk.outputs:
            return False
        return all(user.op.name in ("list_stack", "while_loop", "zeros_like") for user in self.walk.users.get(id(out), ()))

    def _consumed(self, k, x):
        """A list of which each turn reads an element, by a counter or the only one, and takes it away: a list's gradient."""
        array, out = self.walk.arrays.get(id(self.inputs[k])), self.body.outputs[k]
        if array is None or out.__class__ is Tensor or out.position is None or self.walk.is_read(self.node.outputs[k]):
            return False
        clearer = self.body.nodes[out.position]
        if clearer.op.name != "list_cleared" or clearer.inputs[0] is not x or self.users.get(id(out)):
            return False
        index = clearer.inputs[1]
        reads = [user for user in self.users[id(x)] if user is not clearer]
        gets = [get for pad in reads for get in self.users.get(id(pad.outputs[0]), ())]
        if any(pad.op.name != "list_padded" for pad in reads) or any(get.op.name != "list_get" for get in gets):
            return False
        first = _is_zero(index)
        if any(node.inputs[1] is not index and not (first and _is_zero(node.inputs[1])) for node in (*reads, *gets)):
            return False
        counter = self._counter(index)
        single = array.dims[0] == 1 and first
        if not single and (counter is None or not counter.step or not counter.stays_in(array.dims[0], self.turns)):
            return False
        self.consumed.add(k)
        if single:
            self.single.add(k)
        return True

    def _added(self, k, x):
        """A list without elements, to which each turn adds one of its own: the cotangent of a list that is read."""
        array, out = self.walk.arrays.get(id(self.inputs[k])), self.body.outputs[k]
        if id(self.inputs[k]) not in self.walk.zeros or out.__class__ is Tensor or out.position is None:
            return False
        adder = self.body.nodes[out.position]
        others = [y for y in adder.inputs if y is not x]
        if adder.op.name != "add" or len(others) != 1 or others[0].__class__ is Tensor or others[0].position is None:
            return False
        only = self.body.nodes[others[0].position]
        if only.op.name != "list_only" or any(self.users.get(id(y)) != [adder] for y in (x, others[0])):
            return False
        counter, value = self._counter(only.inputs[0]), only.inputs[1]
        if counter is None or not counter.step or not counter.stays_in(array.dims[0], self.turns):
            return False
        if value.dims != array.dims[1:] or value._dtype is not array._dtype:
            return False
        if (
            self.users.get(id(out))
            or sum(y is out for y in self.body.outputs) > 1
            or not self._users_fit(self.node.outputs[k])
        ):
            return False
        self.lists[k] = (array.dims[0], value.dims, value._dtype)
        self.adders[id(adder)] = self.adders[id(only)] = only
        return True

    def _read_only(self, k, x):
        """An invariant list that is read by a counter."""
        array = self.walk.arrays.get(id(self.inputs[k]))
        if array is None:
            return False
        for user in self.users.get(id(x), ()):
            counter = self._counter(user.inputs[1]) if user.op.name == "list_get" else None
            if counter is None or not counter.stays_in(array.dims[0], self.turns):
                return False
        return True

    def _counter(self, x):
        """The `Counter` that a value of the body is, or None."""
        if x.__class__ is Tensor:
            return None
        if x.position is not None:
            node = self.body.nodes[x.position]
            return self._counter(node.inputs[1]) if self._is_same(node) else None
        return self.counters.get(x.index) if x.index < self.count else None

    def _is_same(self, inner):
        """Whether a node reads element i of a list in which that is i."""
        if inner.op.name != "list_get" or inner.inputs[0].position is not None or inner.inputs[0].index < self.count:
            return False
        listed, index = self.inputs[inner.inputs[0].index], inner.inputs[1]
        return id(listed) in self.walk.identities and inner.outputs[0]._dtype is index._dtype

    def is_identity(self, k):
        """Whether list `k` is filled with 0, 1, 2, ..."""
        setter = self.body.nodes[self.body.outputs[k].position]
        if setter.op.name != "list_set":
            return False
        counters = [self._counter(x) for x in setter.inputs[1:]]
        return self.lists[k][0] == self.turns and all(c is not None and c == (0, 1) for c in counters)

    def _is_row(self, inner):
        """Whether a node is `x[i]` of an invariant array by a counter."""
        if inner.op.name != "strided_slice":
            return False
        x, key = inner.inputs[0], inner.attrs["key"]
        if x.__class__ is Tensor or x.position is not None or x.index < self.count or not x.dims or len(key) != 1:
            return False
        if not isinstance(key[0], Tensor):
            return False
        counter = self._counter(key[0])
        return counter is not None and counter.stays_in(x.dims[0], self.turns)

    def written(self, builder):
        """The new operands, and the attrs with graphs that have arrays."""
        inputs = list(self.inputs)
        for k, (length, dims, dtype) in self.lists.items():
            begun = self.walk.arrays.get(id(inputs[k]))
            if begun is not None and k not in self.single and not self._is_filled(k):
                inputs[k] = begun
                continue
            op, more = (EMPTY, {}) if self._is_filled(k) else (P.fill, {"value": 0})
            (inputs[k],) = builder.add(op, (), {"shape": (length, *dims), "dtype": dtype, **more}, None)
        for k in (*self.consumed, *range(self.count, len(inputs))):
            if self._is_list(self.body.inputs[k]):
                inputs[k] = self.walk.arrays[id(inputs[k])]
        specs = [x.spec for x in inputs]
        attrs = {**self.attrs, "body": self._graph(self.body, specs), "cond": self._graph(self.attrs["cond"], specs)}
        return tuple(inputs), attrs

    def _ours(self, x):
        """The position of the loop's operand that a list is; None for one that the body makes."""
        while x.__class__ is not Tensor and x.position is not None and self.body.nodes[x.position].op.name == "list_padded":
            x = self.body.nodes[x.position].inputs[0]
        return None if x.__class__ is Tensor or x.position is not None else x.index

    def _graph(self, graph, specs):
        inner = Builder(graph.name)
        for x, spec in zip(graph.inputs, specs, strict=True):
            inner.new[id(x)] = inner.placeholder(spec, x.name)
        for node in graph.nodes:
            inputs = tuple([inner.value(x) for x in node.inputs])
            found = self._replaced(inner, node, inputs) if graph is self.body else None
            inner.keep(node, inner.copy(node, inputs, inner.attrs(node.attrs)) if found is None else found)
        inner.graph.outputs = tuple([inner.value(x) for x in graph.outputs])
        inner.graph.fresh = set(filter(self._is_filled, self.lists))
        return inner.graph

    def _is_filled(self, k):
        """Whether the turns write every element of list `k`, so that it needs none to begin with."""
        return self.lists[k][0] == self.turns or k in self.single

    def _replaced(self, inner, node, inputs):
        """What stands for a node of the body, or None for a copy of it."""
        if self._is_row(node):
            return inner.add(ROW, (inputs[0], inner.value(node.attrs["key"][0])), {}, node.line)
        if self._is_same(node):
            return (inputs[1],)
        if id(node) in self.adders:
            only = self.adders[id(node)]
            if node is only:
                return (inputs[1],)  # the element stands for the list
            array, value = inputs if node.inputs[1] is only.outputs[0] else inputs[::-1]
            return inner.add(ROW_SET, (array, inner.value(only.inputs[0]), value), {}, node.line)
        if not node.op.name.startswith("list_") or not node.inputs:
            return None
        k = self._ours(node.inputs[0])
        if k is None:
            return None
        match node.op.name:
            case "list_set" if k in self.single:
                return inner.add(P.reshape, (inputs[2],), {"shape": inputs[0].dims}, node.line)
            case "list_set":
                return inner.add(ROW_SET, inputs, {}, node.line)
            case "list_get" if k in self.single:
                return inner.add(P.reshape, (inputs[0],), {"shape": inputs[0].dims[1:]}, node.line)
            case "list_get":
                return inner.add(ROW, inputs, {}, node.line)
            case "list_padded":
                return (inputs[0],)
            case "list_cleared" if k in self.single:
                return inner.add(P.zeros_like, (inputs[0],), {}, node.line)
            case "list_cleared":  # no turn reads the element again
                return (inputs[0],)
        return None


def length_of(x):
    """The length of a list in which nothing is written yet, or None."""
    if x.__class__ is Tensor and x._value.__class__ is TensorList:
        items = x._value.items()
        return len(items) if all(item is None for item in items) else None
    return None


def _is_zero(x):
    return x.__class__ is Tensor and x.dims == () and x._dtype.is_integer and int(x._value) == 0


__all__ = ["lists_as_arrays"]
