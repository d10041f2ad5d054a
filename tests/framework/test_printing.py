"""`tf.print`: what it writes, and where. Literals are what TensorFlow 2.21 writes."""

import collections
import logging
import sys

import numpy as np
import pytest

import tapeflow as tf

Pair = collections.namedtuple("Pair", "a b")


def written(capsys, *args, **kwargs):
    tf.print(*args, output_stream=sys.stdout, **kwargs)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (("hello",), "hello"),
        (("loss:", tf.constant(0.123456789), "acc:", 0.5), "loss: 0.123456791 acc: 0.5"),
        ((), ""),
        ((1, 1e-7, True, None), "1 1e-07 True None"),
        ((tf.constant([1.5, 2.0]),), "[1.5 2]"),
        ((tf.constant(range(10)),), "[0 1 2 ... 7 8 9]"),
        ((tf.constant([[0, 1], [2, 3]]),), "[[0 1]\n [2 3]]"),
        ((tf.constant([[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),), "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"),
        ((tf.constant("a"), tf.constant(["a", "bb"])), 'a ["a" "bb"]'),
        ((tf.constant([True, False]), tf.constant([])), "[1 0] []"),
        (([1, tf.constant(2), "x"], (1, tf.constant([2]))), "[1, 2, 'x'] (1, [2])"),
        (({"b": tf.constant(2), "a": [1, "s"]},), "{'a': [1, 's'], 'b': 2}"),
        ((Pair(1, tf.constant([2])),), "Pair(a=1, b=[2])"),
        ((np.array([1, 2, 3]), np.float32(0.1)), "array([1, 2, 3]) np.float32(0.1)"),
        ((tf.float32, int), "tf.float32 <class 'int'>"),
        (("{}", "a\nb", b"abc"), "{} a\nb b'abc'"),
        (([], {}), "[] {}"),
    ],
)
def test_text(capsys, inputs, text):
    assert written(capsys, *inputs) == text + "\n"


def test_floats(capsys):
    numbers = [0.1, 1 / 3, 1e-20, 1e10, 123456.789, 16777216.0, 1e6, 1e5, 100000.5, 1e-5, np.nan, np.inf, -np.inf, -0.0]
    text = "[0.1 0.333333343 1e-20 1e+10 123456.789 16777216 1e+06 100000 100000.5 1e-05 nan inf -inf -0]\n"
    assert written(capsys, tf.constant(numbers), summarize=-1) == text
    text = text.replace("0.333333343", "0.33333333333333331").replace("1e+10", "10000000000").replace("1e+06", "1000000")
    assert written(capsys, tf.constant(numbers, tf.float64), summarize=-1) == text
    assert written(capsys, tf.constant([0.1, 65504], tf.float16)) == "[0.0999755859 65504]\n"
    assert written(capsys, tf.constant([0.1, 1 / 3], tf.bfloat16)) == "[0.100097656 0.333984375]\n"


def test_summarize(capsys):
    x = tf.constant(range(10))
    assert written(capsys, x, summarize=2) == "[0 1 ... 8 9]\n"
    assert written(capsys, x, summarize=-1) == "[0 1 2 3 4 5 6 7 8 9]\n"
    matrix = tf.constant(np.arange(64).reshape(8, 8))
    assert written(capsys, matrix, summarize=1) == "[[0 ... 7]\n ...\n [56 ... 63]]\n"


def test_sep_and_end(capsys):
    assert written(capsys, "a", 1, sep=",", end="!") == "a,1!"
    with pytest.raises(TypeError, match=r"Expected string for argument 'end' not 5"):
        tf.print("x", end=5)
    with pytest.raises(ValueError, match=r"Unrecognized keyword arguments for tf.print"):
        tf.print("x", foo=1)


def test_streams(capsys, tmp_path, caplog):
    tf.print("to stderr")
    assert capsys.readouterr().err == "to stderr\n"
    path = tmp_path / "log.txt"
    tf.print("one", output_stream=f"file://{path}")
    tf.print("two", output_stream=f"file://{path}")
    assert path.read_text() == "one\ntwo\n"
    with caplog.at_level(logging.INFO, "tapeflow"):
        tf.print("logged", tf.constant(1), output_stream=tf.get_logger().info)
    assert caplog.messages == ["logged 1"]
    for wrong in ("foo", 5):
        with pytest.raises(ValueError, match="Unsupported output stream"):
            tf.print("x", output_stream=wrong)


def test_a_graph_prints_when_it_runs(capsys):
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.int32, [2])
        tf.print("x =", x, output_stream=sys.stdout)
    assert capsys.readouterr().out == ""
    graph.run([np.array([1, 2], np.int32)], [])
    graph.run([np.array([3, 4], np.int32)], [])
    assert capsys.readouterr().out == "x = [1 2]\nx = [3 4]\n"
