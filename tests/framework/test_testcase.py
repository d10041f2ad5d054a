"""`tf.test.TestCase`: what passes and what fails, and that tests run with it."""

import os
import random
import subprocess
import sys
import unittest

import numpy as np
import pytest

import tapeflow as tf

case = tf.test.TestCase()
ones = tf.constant([1.0, 2.0])

PASSING = [
    ("assertAllClose", ones, [1.0, 2.0000001]),
    ("assertAllClose", {"a": 1.0, "b": [ones]}, {"a": 1.0, "b": [[1.0, 2.0]]}),
    ("assertAllClose", [tf.constant([1.0]), tf.constant([2.0, 3.0])], [[1.0], [2.0, 3.0]]),
    ("assertAllClose", [np.nan, np.inf], [np.nan, np.inf]),
    ("assertAllClose", tf.constant([1.0], tf.bfloat16), [1.0]),
    ("assertAllClose", [1 + 1j], [1 + 1j]),
    ("assertAllEqual", tf.constant(["a"]), [b"a"]),
    ("assertAllEqual", [np.nan], [np.nan]),
    ("assertAllEqual", tf.TensorShape([1, 2]), [1, 2]),
    ("assertAllEqual", [tf.constant(1), tf.constant(2)], [1, 2]),
    ("assertNotAllClose", [1.0], [2.0]),
    ("assertNotAllEqual", [1.0], [2.0]),
    ("assertAllCloseAccordingToType", tf.constant([1.0], tf.float16), [1.0005]),
    ("assertAllCloseAccordingToType", tf.constant([1.0], tf.bfloat16), [1.005]),
    ("assertAllInRange", ones, 0, 2),
    ("assertAllInSet", [1, 2], {1, 2, 3}),
    ("assertAllGreater", [1, 2], 0),
    ("assertAllLessEqual", [1, 2], 2),
    ("assertShapeEqual", np.ones(2), ones),
    ("assertDTypeEqual", ones, tf.float32),
    ("assertArrayNear", [1.0, 2.0], [1.0, 2.05], 0.1),
    ("assertNDArrayNear", np.ones(2), np.ones(2), 0.1),
    ("assertDeviceEqual", "/cpu:0", "/device:CPU:0"),
    ("assertLen", [1], 1),
    ("assertEmpty", []),
    ("assertBetween", 1, 1, 2),
    ("assertStartsWith", "abc", "a"),
    ("assertSameElements", [1, 2], [2, 1, 1]),
    ("assertItemsEqual", [1, 2], [2, 1]),
    ("assertContainsSubset", [1], [1, 2]),
    ("assertContainsInOrder", ["a", "c"], "abc"),
    ("assertContainsSubsequence", [1, 2, 3], [1, 3]),
    ("assertContainsExactSubsequence", [1, 2, 3], [2, 3]),
    ("assertSequenceAlmostEqual", [1.0], [1.00000001]),
    ("assertDictAlmostEqual", {"a": 1.0}, {"a": 1.00000001}),
    ("assertMappingEqual", {"a": 1}, {"a": 1}),
    ("assertTotallyOrdered", [1], [2], [3]),
    ("assertIsSubclass", int, object),
    ("assertRegexMatch", "abc", ["x", "b."]),
    ("assertSameStructure", [1, {"a": 2}], [3, {"a": 4}]),
]
FAILING = [
    ("assertAllClose", ones, [1.0, 3.0]),
    ("assertAllClose", ones, [1.0]),
    ("assertAllClose", {"a": 1.0}, {"b": 1.0}),
    ("assertAllClose", [np.inf], [1.0]),
    ("assertAllEqual", [1, 2], [1, 3]),
    ("assertAllEqual", [1, 2], [1, 2, 3]),
    ("assertNotAllClose", [1.0], [1.0]),
    ("assertNotAllEqual", [1.0], [1.0]),
    ("assertAllCloseAccordingToType", tf.constant([1.0]), [1.0005]),
    ("assertAllInRange", [3.0], 0, 3, False, True),
    ("assertAllInRange", [np.nan], 0, 1),
    ("assertAllInRange", ["a"], 0, 1),
    ("assertAllInSet", [1, 3], {1, 2}),
    ("assertAllGreater", [1, 2], 1),
    ("assertAllLess", [1, 2], 2),
    ("assertAllGreaterEqual", [1, 2], 2),
    ("assertShapeEqual", np.ones(2), tf.constant([1.0])),
    ("assertDTypeEqual", ones, tf.int32),
    ("assertArrayNear", [1.0, 2.0], [1.0, 2.5], 0.1),
    ("assertNDArrayNear", np.ones(2), 2 * np.ones(2), 0.1),
    ("assertNear", 1.0, 2.0, 0.1),
    ("assertLen", [1], 2),
    ("assertEmpty", [1]),
    ("assertNotEmpty", []),
    ("assertBetween", 3, 1, 2),
    ("assertEndsWith", "abc", "b"),
    ("assertSameElements", [1, 2], [2]),
    ("assertContainsSubset", [1], [2]),
    ("assertContainsInOrder", ["c", "a"], "abc"),
    ("assertContainsSubsequence", [1, 2, 3], [3, 1]),
    ("assertContainsExactSubsequence", [1, 2, 3], [1, 3]),
    ("assertDictAlmostEqual", {"a": 1.0}, {"a": 2.0}),
    ("assertMappingEqual", {"a": 1}, {"a": 2}),
    ("assertTotallyOrdered", [1], [3], [2]),
    ("assertSameStructure", [1], [1, 2]),
    ("assertRaisesWithLiteralMatch", ValueError, "q", int, "x"),
]


@pytest.mark.parametrize(("name", "args"), [(name, args) for name, *args in PASSING])
def test_passes(name, args):
    getattr(case, name)(*args)


@pytest.mark.parametrize(("name", "args"), [(name, args) for name, *args in FAILING])
def test_fails(name, args):
    with pytest.raises(AssertionError):
        getattr(case, name)(*args)


def test_text_says_where():
    with pytest.raises(AssertionError) as info:
        case.assertAllClose([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 5.0]], msg="mine")
    for part in ("mine", "not close where = (array([1]), array([1]))", "not close lhs = [4.]", "not close dif = [1.]"):
        assert part in str(info.value)
    with pytest.raises(ValueError, match="Can't compare dict to non-dict"):
        case.assertAllClose({"a": 1.0}, [1.0])
    with pytest.raises(TypeError, match="must be an ndarray or a Tensor"):
        case.assertShapeEqual([1], ones)


def test_exceptions():
    error = tf.errors.InvalidArgumentError(None, None, "hello")
    with case.assertRaisesOpError("hel"):
        raise error
    with case.assertRaisesWithPredicateMatch(ValueError, lambda e: "q" in str(e)):
        raise ValueError("q")
    with case.assertRaisesIncompatibleShapesError():
        tf.constant([1, 2]) + tf.constant([1, 2, 3])
    with pytest.raises(AssertionError, match="OpError not raised"), case.assertRaisesOpError("x"):
        pass
    with pytest.raises(AssertionError, match="Exception of type"), case.assertRaisesOpError("x"):
        raise error
    with pytest.raises(AssertionError, match="Exception of type"), case.assertRaisesOpError("hel"):
        raise ValueError("hello")


def test_evaluate():
    values = case.evaluate([tf.constant(1), {"a": tf.Variable(2.0)}, None, lambda: tf.constant("s")])
    assert values == [1, {"a": 2.0}, None, b"s"]
    with pytest.raises(ValueError, match="Unsupported type 'int'"):
        case.evaluate(5)
    with case.session() as session, case.cached_session():
        assert session.run([tf.constant(1)]) == [1]
        with pytest.raises(NotImplementedError, match="no sessions"):
            session.run(tf.constant(1), feed_dict={1: 2})


class Suite(tf.test.TestCase):
    __test__ = False  # run by test_a_suite_runs, not by pytest
    drawn: list = []

    def test_seeds(self):
        Suite.drawn.append((random.random(), np.random.rand()))

    test_seeds_again = test_seeds

    def test_threads(self):
        done = []
        thread = self.checkedThread(lambda x: done.append(x), args=(1,))
        thread.start()
        thread.join()
        self.assertEqual(done, [1])

    def test_folder(self):
        folder = self.get_temp_dir()
        self.assertTrue(os.path.isdir(folder))
        self.assertEqual(folder, self.get_temp_dir())
        self.addCleanup(lambda: Suite.drawn.append(os.path.exists(folder)))

    def test_sub_tests(self):
        for n in range(2):
            with self.subTest(n=n):
                self.assertAllEqual([n], tf.constant([n]))

    @tf.test.disable_with_predicate(lambda: True, "not here")
    def test_skipped(self):
        self.fail("it runs")


def test_a_suite_runs():
    Suite.drawn.clear()
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Suite).run(result)
    assert result.wasSuccessful(), result.failures + result.errors
    assert (result.testsRun, len(result.skipped)) == (7, 2)  # one is `test_session`, as in TensorFlow
    seeds = [entry for entry in Suite.drawn if isinstance(entry, tuple)]
    assert seeds[0] == seeds[1]
    assert False in Suite.drawn  # the folder is gone behind its test


def test_main():
    program = (
        "import tapeflow as tf\n"
        "class T(tf.test.TestCase):\n"
        "    def test_it(self): self.assertAllEqual(tf.constant([1]), [1])\n"
        "if __name__ == '__main__': tf.test.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "OK (skipped=1)" in done.stderr


def test_the_machine():
    assert not tf.test.is_built_with_cuda()
    assert not tf.test.is_gpu_available()
    assert tf.test.gpu_device_name() == ""
    with pytest.raises(AttributeError):
        tf.test.foo  # noqa: B018


def test_importing_does_not_load_unittest():
    program = "import sys, tapeflow; sys.exit('tapeflow.api.testing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
