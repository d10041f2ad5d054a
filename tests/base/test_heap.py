"""Freed memory of arrays stays in the process, unless the user's environment says otherwise."""

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
import tapeflow
for _ in range(3):
    a, b, c = (np.ones(1_000_000, np.float32) for _ in range(3))
    del a, b, c
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    a, b, c = (np.ones(1_000_000, np.float32) for _ in range(3))
    del a, b, c
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**environment):
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the limits")
def test_freed_memory_is_used_again():
    assert page_faults() < 100
    assert page_faults(MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072") > 1000
