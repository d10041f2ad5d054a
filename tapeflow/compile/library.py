"""Which nodes are library calls: kernels of their own, written for their shapes."""

from tapeflow.compile.product import PRODUCT, is_product
from tapeflow.compile.spatial import SPATIAL, is_spatial


def library(node):
    """The `Library` that has code for a node, or None."""
    if is_product(node):
        return PRODUCT
    return SPATIAL if is_spatial(node) else None


__all__ = ["library"]
