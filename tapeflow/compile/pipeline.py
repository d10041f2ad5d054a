"""The compiler's table of contents: the passes from a graph to the graph that is cut into kernels, in order.

Each pass is a function from a `Graph` to a `Graph`. `run_passes` is the only driver: it times each pass, verifies what came out,
and prints it where `DEBUG` is 3 or more.
"""

import sys
import time
from typing import NamedTuple

from tapeflow.base import flags
from tapeflow.compile.by_parts import by_parts
from tapeflow.compile.changes import changes_as_updates
from tapeflow.compile.clean import drop_dead, keep_old_values, lift_variables, share_common
from tapeflow.compile.decompose import decompose
from tapeflow.compile.hoist import hoist_products
from tapeflow.compile.inline import inline, own_variables
from tapeflow.compile.lists import lists_as_arrays
from tapeflow.compile.merge_loops import merge_loops
from tapeflow.compile.purify import variables_as_values
from tapeflow.compile.rebuild import operands
from tapeflow.compile.recall import recall
from tapeflow.compile.rewrite import rewrite
from tapeflow.compile.unread import drop_unread
from tapeflow.core.tensor import Tensor


class Pass(NamedTuple):
    """One step of the pipeline, and why it is there."""

    name: str
    run: object
    reason: str


# Before the shapes are known.
FIRST = (
    Pass("own variables", own_variables, "native code reads variables where they are, so that it can update them there"),
    Pass("inline", inline, "kernels fuse across the calls of one function by another"),
)
# After: each of these may rely on every shape being known that does not depend on data.
PASSES = (
    Pass("drop dead nodes", drop_dead, "tracing leaves much that nobody reads: less to look at for all that follow"),
    Pass("drop unread results", drop_unread, "branches and loops also give what a gradient would have asked for"),
    Pass("changes as updates", changes_as_updates, "what changes variables its own way is a reading, work and an update"),
    Pass(
        "variables as values",
        variables_as_values,
        "a branch or a loop that assigns variables is native only without effects",
    ),
    Pass("lift variables", lift_variables, "a variable as one value read and one written is plain data to every other pass"),
    Pass("share common", share_common, "two loops on the same values are found to be one only then"),
    Pass("merge loops", merge_loops, "a gradient runs its function's loop again, to keep its states"),
    Pass("drop unread results", drop_unread, "a loop that stands for two keeps lists of which only one of them had a use"),
    Pass("drop unread results", drop_unread, "what a later loop does not read any more, an earlier one need not give"),
    Pass("drop dead nodes", drop_dead, "the lists that a merged loop keeps for one reader alone are clear only then"),
    Pass("lists as arrays", lists_as_arrays, "a loop that keeps its states can then be native, and so can its gradient"),
    Pass("recall", recall, "a gradient's loop computes again what its function's loop has computed in the same turn"),
    Pass("drop unread results", drop_unread, "what is read is not computed, and what that alone needed need not be kept"),
    Pass("by parts", by_parts, "sums and products of complex numbers are some of real ones, which have their kernels"),
    Pass(
        "hoist products", hoist_products, "one large product is quicker than many small ones, and loops wait for each turn"
    ),
    Pass(
        "take apart", decompose, "softmax, means and losses as reductions and elementwise ops fuse with what is around them"
    ),
    Pass("rewrite", rewrite, "algebra; one form for every reshape, transpose and sum; constants are folded on the way"),
    Pass("share common", share_common, "a gradient computes much of its function again"),
    Pass("drop dead nodes", drop_dead, "rules leave the nodes that they replaced"),
    Pass("keep old values", keep_old_values, "a variable is written where it is, but its old value may be a result"),
)


def run_passes(graph, passes=PASSES, seconds=None):
    """The graph after some passes; `seconds`, a dict, gets the time of each."""
    for step in passes:
        start = time.perf_counter()
        after = step.run(graph)
        if seconds is not None:
            seconds[step.name] = seconds.get(step.name, 0.0) + time.perf_counter() - start
        verify(after, step.name)
        if flags.DEBUG >= 3 and len(after.nodes) != len(graph.nodes):
            print(f"-- {step.name}: {len(graph.nodes)} nodes to {len(after.nodes)}\n{after!r}", file=sys.stderr)
        graph = after
    return graph


def verify(graph, name):
    """Check that every value is made before it is read, and in this graph.

    Raises:
        AssertionError: a pass is wrong.
    """
    made = {id(x) for x in graph.inputs}
    for node in graph.nodes:
        for x in operands(node):
            if x.__class__ is not Tensor and id(x) not in made:
                raise AssertionError(f"after {name!r}, {node.op.name} reads {x.name}, which is not made before")
        made.update(id(out) for out in node.outputs)
    for x in graph.outputs:
        if x.__class__ is not Tensor and id(x) not in made:
            raise AssertionError(f"after {name!r}, the output {x.name} is not made")


__all__ = ["FIRST", "PASSES", "Pass", "run_passes", "verify"]
