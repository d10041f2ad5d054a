"""The published listings run unchanged and print what their last comments say."""

import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

LISTINGS = Path(__file__).parents[1] / "examples" / "listings"
MNIST = LISTINGS / "7_mnist.py"
SHORT = sorted(path for path in LISTINGS.glob("*.py") if path != MNIST)


def run(listing, **environment):
    """The lines that a listing prints, in a process of its own as its reader runs it."""
    command = [sys.executable, str(listing)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def promised_lines(listing):
    """The comments at the end of a listing as patterns: `...` stands for any text."""
    backwards = reversed(listing.read_text().splitlines())
    comments = [line.removeprefix("# ") for line in takewhile(lambda line: line.startswith("# "), backwards)]
    return [re.escape(comment).replace(re.escape("..."), ".*") for comment in reversed(comments)]


@pytest.mark.parametrize("listing", SHORT, ids=lambda path: path.stem)
def test_prints_what_its_last_comments_say(listing):
    printed, promised = run(listing), promised_lines(listing)
    assert promised
    assert re.fullmatch(promised[0], printed[0])
    assert re.fullmatch(promised[-1], printed[-1])
    lines = iter(printed)  # `any` below goes on where it stopped: the promised lines come in their order
    for line in promised:
        assert any(re.fullmatch(line, found) for found in lines), f"{line} is missing from {printed}"


@pytest.mark.slow
@pytest.mark.parametrize("graph", ["0", "1"])
def test_mnist_is_learnt_in_one_epoch(graph):
    first, last = run(MNIST, EPOCHS="1", GRAPH=graph)[-2:]
    assert re.fullmatch(r"Epoch 1, Loss: \d+\.\d{4}", first)
    accuracy = re.fullmatch(r"Test Loss: \d+\.\d{4}, Accuracy: (\d\.\d{4})", last)
    assert accuracy, last
    assert float(accuracy[1]) > 0.93


def test_all_listings_are_here():
    assert [path.stem for path in SHORT] == [
        "1_descent",
        "2_gradient",
        "3_second_order",
        "4_watch",
        "5_function",
        "6_persistent",
    ]
