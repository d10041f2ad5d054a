"""Which nodes are library calls: kernels of their own, written for their shapes."""

from tapeflow.compile.array_ctc import CTC
from tapeflow.compile.array_product import PRODUCTS
from tapeflow.compile.array_random import RANDOM
from tapeflow.compile.array_scan import SCANS
from tapeflow.compile.array_scatter import SCATTERS
from tapeflow.compile.array_slice import COPIES
from tapeflow.compile.array_sort import SORTS
from tapeflow.compile.arrays import array_library, fits
from tapeflow.compile.product import PRODUCT, is_product
from tapeflow.compile.spatial import SPATIAL, is_spatial

ARRAY_OPS = COPIES | CTC | PRODUCTS | RANDOM | SCANS | SCATTERS | SORTS


def library(node):
    """The `Library` that has code for a node, or None."""
    if is_product(node):
        return PRODUCT
    if is_spatial(node):
        return SPATIAL
    op = fits(node, ARRAY_OPS)
    return None if op is None else array_library(op)


__all__ = ["ARRAY_OPS", "library"]
