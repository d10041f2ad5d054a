"""Bands, diagonals, transposes and norms: literals are what TensorFlow 2.21 gives."""

import numpy as np
import pytest

import tapeflow as tf

X = np.arange(1.0, 13.0).reshape(3, 4).astype(np.float32)
R = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]], np.float32)


def values(x):
    return x.numpy().tolist()


def test_band_part():
    assert values(tf.linalg.band_part(X, 1, 0)) == [[1, 0, 0, 0], [5, 6, 0, 0], [0, 10, 11, 0]]
    assert values(tf.linalg.band_part(X, 0, -1)) == [[1, 2, 3, 4], [0, 6, 7, 8], [0, 0, 11, 12]]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"num_lower must be negative or less or equal to number of rows \(3\) got: 5"
    ):
        tf.linalg.band_part(X, 5, 0)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, [1, 6, 11]),
        ({"k": 1}, [2, 7, 12]),
        ({"k": (-1, 1)}, [[2, 7, 12], [1, 6, 11], [5, 10, 0]]),
        ({"k": (-1, 1), "padding_value": -1.0, "align": "LEFT_LEFT"}, [[2, 7, 12], [1, 6, 11], [5, 10, -1]]),
        ({"k": (-2, 3), "align": "LEFT_RIGHT"}, [[4, 0, 0], [3, 8, 0], [2, 7, 12], [1, 6, 11], [0, 5, 10], [0, 0, 9]]),
    ],
)
def test_diag_part(options, expected):
    part = tf.linalg.diag_part(X, **options)
    assert values(part) == expected
    options.pop("padding_value", None)
    assert values(tf.linalg.set_diag(np.zeros_like(X), part, **options)) == values(
        tf.linalg.set_diag(X * 0, tf.linalg.diag_part(X, **options), **options)
    )
    assert values(tf.linalg.set_diag(X, part, **options)) == X.tolist()


@pytest.mark.parametrize(
    "diagonal, options, expected",
    [
        ([1, 2], {}, [[1, 0], [0, 2]]),
        ([1, 2], {"k": -1}, [[0, 0, 0], [1, 0, 0], [0, 2, 0]]),
        ([1, 2], {"k": 1, "num_rows": 2}, [[0, 1, 0], [0, 0, 2]]),
        ([1, 2], {"k": 1, "num_cols": 5}, [[0, 1, 0, 0, 0], [0, 0, 2, 0, 0]]),
        ([[1, 2, 3], [4, 5, 6]], {"k": (-1, 0)}, [[1, 0, 0], [4, 2, 0], [0, 5, 3]]),
        ([[0, 2, 3], [4, 5, 6]], {"k": (0, 1), "align": "LEFT_RIGHT"}, [[4, 0, 0], [0, 5, 2], [0, 0, 6]]),
        ([[0, 2, 3], [4, 5, 6]], {"k": (0, 1), "padding_value": 9}, [[4, 2, 9], [9, 5, 3], [9, 9, 6]]),
        ([[1.0, 2.0]], {"k": (1, 1)}, [[[0, 1, 0], [0, 0, 2], [0, 0, 0]]]),
    ],
)
def test_diag(diagonal, options, expected):
    assert values(tf.linalg.diag(diagonal, **options)) == expected


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda t: t.diag([1, 2], num_rows=1), "InvalidArgumentError", "The number of rows is too small"),
        (lambda t: t.diag(3), "InvalidArgumentError", "diagonal must be at least 1-dim, received shape: []"),
        (
            lambda t: t.diag([1, 2], k=(1, 0)),
            "InvalidArgumentError",
            "lower_diag_index must not be larger than upper_diag_index: 1 > 0",
        ),
        (lambda t: t.diag([1, 2], k=(0, 1)), "InvalidArgumentError", "diagonal must be at least 2-dim"),
        (lambda t: t.diag([1, 2], align="x"), "InvalidArgumentError", 'of "x" is not in the list of allowed values'),
        (lambda t: t.diag([1, 2], padding_value=1.5), "TypeError", "Cannot convert 1.5 to EagerTensor of dtype int32"),
        (
            lambda t: t.diag_part(X, k=5),
            "InvalidArgumentError",
            "lower_diag_index is out of bound: 5. It must be between -3 and 4",
        ),
        (lambda t: t.diag_part([1.0]), "InvalidArgumentError", "input must be at least 2-dim, received shape: [1]"),
        (lambda t: t.set_diag(X, [1.0, 2.0]), "InvalidArgumentError", "Expected diagonal shape: [3]"),
        (
            lambda t: t.cross([1, 0], [0, 1]),
            "FailedPreconditionError",
            "Cross-products are only defined for 3-element vectors.",
        ),
        (
            lambda t: t.cross([[1, 2, 3]], [1, 2, 3]),
            "InvalidArgumentError",
            "Both inputs must be of same shape: [1,3] vs. [3]",
        ),
        (lambda t: t.adjoint([1.0]), "ValueError", "Argument `a` should be a (batch) matrix with rank >= 2"),
        (lambda t: t.norm(R, ord="fro"), "ValueError", "'ord' must be a supported vector norm, got fro"),
        (lambda t: t.norm(R, ord=-1), "ValueError", "'ord' must be a supported vector norm, got -1"),
        (lambda t: t.norm(R, ord=3, axis=[0, 1]), "ValueError", "'ord' must be a supported matrix norm in"),
        (
            lambda t: t.norm(R, axis=[0, 0]),
            "ValueError",
            "'axis' must be None, an integer, or a tuple of 2 unique integers, got (0, 0)",
        ),
        (
            lambda t: t.norm([[1]]),
            "InvalidArgumentError",
            "Value for attr 'T' of int32 is not in the list of allowed values",
        ),
    ],
)
def test_errors(call, error, text):
    kind = getattr(tf.errors, error, None) or {"ValueError": ValueError, "TypeError": TypeError}[error]
    with pytest.raises(kind) as found:
        call(tf.linalg)
    assert text in str(found.value)


def test_trace_cross_and_transposes():
    assert tf.linalg.trace(X).numpy() == 18 and tf.linalg.trace([[1, 2], [3, 4]]).dtype is tf.int32
    assert values(tf.linalg.cross([[1, 2, 3]], [[4, 5, 6]])) == [[-3, 6, -3]]
    z = np.array([[1j, 2.0, 3j]])
    assert values(tf.linalg.adjoint(z)) == [[-1j], [2], [-3j]]
    assert values(tf.linalg.matrix_transpose(z)) == [[1j], [2], [3j]]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, 10.198039),
        ({"ord": 1}, 22.0),
        ({"ord": np.inf}, 7.0),
        ({"ord": 0.5}, 121.6186),
        ({"ord": 3, "axis": 0}, [4.0207257, 5.1044698, 7.1790543]),
        ({"axis": 1, "keepdims": True}, [[3.7416575], [9.486833]]),
        ({"ord": "fro", "axis": [0, 1]}, 10.198039),
        ({"ord": 2, "axis": [0, 1]}, 10.181443),
        ({"ord": 1, "axis": [0, 1]}, 10.0),
        ({"ord": np.inf, "axis": [-2, -1], "keepdims": True}, [[16.0]]),
    ],
)
def test_norm(options, expected):
    np.testing.assert_allclose(tf.norm(R, **options), expected, rtol=1e-5)


def test_norm_of_complex_numbers_and_normalize():
    assert tf.norm(tf.constant([3j, 4.0])).dtype is tf.complex128
    cube = np.arange(1.0, 25.0).reshape(2, 3, 4)
    np.testing.assert_allclose(tf.norm(cube, ord=2, axis=[0, 2]), np.linalg.norm(cube.transpose(1, 0, 2), 2, axis=(1, 2)))
    scaled, length = tf.linalg.normalize(R, ord=1, axis=0)
    np.testing.assert_allclose(length, [[5.0, 7.0, 10.0]])
    np.testing.assert_allclose(scaled, R / [[5.0, 7.0, 10.0]], rtol=1e-6)


def test_diagonals_of_unknown_size():
    from tapeflow.core.graph import Graph
    from tapeflow.core.state import tracing

    graph = Graph("diagonals")
    with tracing(graph):
        x = graph.placeholder((None, None), tf.float32)
        outs = [
            tf.linalg.diag(x),
            tf.linalg.diag_part(x),
            tf.linalg.band_part(x, -1, 0),
            tf.linalg.set_diag(x, tf.linalg.diag_part(x) * 2.0),
            tf.linalg.pinv(x),
            tf.linalg.qr(x).r,
        ]
    results = graph.run([R], outs)
    assert results[0].shape.as_list() == [2, 3, 3] and values(results[1]) == [1.0, 5.0]
    assert values(results[3]) == [[2.0, 2.0, 3.0], [4.0, 10.0, 7.0]]
    np.testing.assert_allclose(results[4], np.linalg.pinv(R), rtol=1e-4, atol=1e-6)
