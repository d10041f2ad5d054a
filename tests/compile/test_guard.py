"""The guard pages of the other tests: a kernel that reads or writes one element too far dies."""

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
from native_checks import run_kernel
from tapeflow.compile.micro import Kernel, Phase, slot
from tapeflow.compile.text import F32, INDEX, PTR

def write(module):
    with module.function("tile", [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
        place = slot(0)(f, f.arguments[0]) + int(sys.argv[1]) * 4
        value = f.load(place, F32) if sys.argv[2] == "read" else f.constant(F32, 1)
        f.store(value, slot(1)(f, f.arguments[0]) if sys.argv[2] == "read" else place)
    return Kernel([Phase("tile", 1)])

run_kernel(write, [np.zeros(5, np.float32), np.zeros(1, np.float32)], "float32", at_end=sys.argv[3] == "end")
"""


@pytest.mark.parametrize("how", ["read", "write"])
@pytest.mark.parametrize(
    "element, side, dies", [(4, "end", False), (5, "end", True), (0, "start", False), (-1, "start", True)]
)
def test_one_element_too_far_kills(element, side, dies, how):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(element), how, side], env=environment, capture_output=True)
    assert done.returncode == (-signal.SIGSEGV if dies else 0), done.stderr
