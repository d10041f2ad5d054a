"""The machine that code is compiled for."""

import pytest

from tapeflow.base import flags
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.compile import host as hosts
from tapeflow.compile.host import LEVELS, host


def test_a_forced_instruction_set_is_one_that_there_is():
    with (
        flags.using(TAPEFLOW_ISA="mmx"),
        pytest.raises(InvalidArgumentError, match="'mmx' is not an .*; write one of avx512, avx2"),
    ):
        host()


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_a_machine_without_the_instructions_says_so(level, monkeypatch):
    other = hosts.Host("aarch64", "cortex-a76", "", 16, 32, True)
    monkeypatch.setattr(hosts, "_detect", lambda: other)
    hosts._host.cache_clear()
    try:
        with (
            flags.using(TAPEFLOW_ISA=level),
            pytest.raises(InvalidArgumentError, match=r"\(aarch64, cortex-a76\) has no such"),
        ):
            host()
        assert host() == other
    finally:
        hosts._host.cache_clear()
