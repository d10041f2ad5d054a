"""Matrix products by NumPy's BLAS, with as many threads as pay."""

import ctypes
import functools
from pathlib import Path

import numpy as np

# OpenBLAS puts its threads to work from 2**18 multiplications on. Up to some 2**23 that costs more than it brings: waking a thread
# and waiting for it takes as long as the product, and milliseconds where the cores have other work to do.
FEW, MANY = 1 << 18, 1 << 23


def product(a, b):
    """`np.matmul(a, b)`, on one thread where the product is small."""
    if FEW < a.size * b.shape[-1] < MANY:
        threads = _threads()
        if threads is not None:
            get, put = threads
            before = get()
            if before > 1:
                put(1)
                try:
                    return np.matmul(a, b)
                finally:
                    put(before)
    return np.matmul(a, b)


@functools.cache
def _threads():
    """The functions that get and set the number of threads of the OpenBLAS that NumPy brings along; None where it is another."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))  # it is loaded already
            for prefix in ("scipy_openblas", "openblas"):
                for suffix in ("64_", "_64", ""):
                    get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                    put = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
                    if get is not None and put is not None:
                        put.argtypes = [ctypes.c_int]
                        put.restype = None
                        return get, put
    return None


__all__ = ["product"]
