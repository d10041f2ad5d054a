"""Small products run on one thread of NumPy's BLAS, and whatever NumPy does besides keeps its threads."""

import numpy as np
import pytest

from tapeflow.ops import blas


@pytest.fixture
def calls(monkeypatch):
    """What is asked of a BLAS that has 4 threads."""
    calls, threads = [], [4]

    def put(count):
        calls.append(count)
        threads[0] = count

    monkeypatch.setattr(blas, "_threads", lambda: (lambda: threads[0], put))
    return calls


@pytest.mark.parametrize("shape, expected", [((2, 3, 5), []), ((64, 70, 80), [1, 4]), ((300, 200, 200), [])])
def test_small_products_take_one_thread(calls, shape, expected):
    m, k, n = shape
    a, b = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
    np.testing.assert_array_equal(blas.product(a, b), np.full((m, n), k, np.float32))
    assert calls == expected


def test_the_threads_come_back_after_an_error(calls):
    with pytest.raises(ValueError, match="mismatch"):
        blas.product(np.ones((100, 100)), np.ones((99, 100)))
    assert calls == [1, 4]


def test_another_blas_is_left_alone(monkeypatch):
    monkeypatch.setattr(blas, "_threads", lambda: None)
    assert blas.product(np.ones((100, 100)), np.ones((100, 100)))[0, 0] == 100


def test_the_real_one_keeps_its_threads():
    threads = blas._threads()
    if threads is None:
        pytest.skip("NumPy has another BLAS than its own OpenBLAS")
    before = threads[0]()
    blas.product(np.ones((100, 100)), np.ones((100, 100)))
    assert threads[0]() == before >= 1
