"""Hypothesis strategies for the programs of `programs`."""

import complex_programs
from hypothesis import strategies as st
from programs import BINARY, UNARY


def steps(depth):
    """A strategy for one step; structured ones hold programs."""
    index = st.integers(0, 7)
    plain = st.one_of(
        st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), index),
        st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), index, index),
    )
    if not depth:
        return plain
    inner = programs(depth - 1, most=3)
    return st.one_of(
        plain,
        st.tuples(st.just("cond"), index, inner, inner),
        st.tuples(st.just("while"), st.integers(0, 3), index, inner),
        st.tuples(st.just("switch"), index, inner, inner, inner),
        st.tuples(st.just("map"), index, st.sampled_from(sorted(BINARY))),
        st.tuples(st.just("scan"), index, index),
        st.tuples(st.just("array"), index, index),
        st.tuples(st.just("call"), index, inner),
        st.tuples(st.just("custom"), index),
        st.tuples(st.just("tape"), index, inner),
    )


def programs(depth=2, most=6):
    """A strategy for programs."""
    return st.lists(steps(depth), min_size=1, max_size=most).map(tuple)


@st.composite
def matrix_programs(draw, most=25):
    """A strategy for programs of complex matrices, (shape, steps): a step is an op's name with the numbers of the values it takes."""
    shape = draw(st.tuples(st.sampled_from([2, 3, 5, 17]), st.sampled_from([2, 3, 8, 33])))
    steps = []
    for number in range(draw(st.integers(3, most))):
        earlier = st.integers(max(0, number - 5), number + 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(sorted(complex_programs.UNARY))), draw(earlier)))
        else:
            steps.append((draw(st.sampled_from(sorted(complex_programs.BINARY))), draw(earlier), draw(earlier)))
    return shape, steps
