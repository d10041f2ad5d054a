"""The instruction sets that tests of native code run with."""

import pytest

from tapeflow.base import flags
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.compile.host import host


def supported(level):
    """Whether this machine can run an instruction set."""
    try:
        with flags.using(TAPEFLOW_ISA=level):
            host()
    except InvalidArgumentError:
        return False
    return True


@pytest.fixture(params=["", "avx2", "sse"], ids=lambda level: level or "native")
def isa(request):
    """Runs a test with each instruction set that this machine has."""
    if not supported(request.param):
        pytest.skip(f"this machine has no {request.param}")
    with flags.using(TAPEFLOW_ISA=request.param):
        yield request.param


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory):
    """Compiled code of the tests stays out of the user's cache."""
    with flags.using(TAPEFLOW_CACHE=str(tmp_path_factory.mktemp("cache"))):
        yield
