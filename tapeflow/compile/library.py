"""The operations that are whole kernels of their own: which nodes have one, how it reads its operands, and its step."""

from tapeflow.compile import product


class Library:
    """What a kind of library call tells the grouping.

    Attributes:
        operands: `operands(node, reader)`: how it reads its operands where they stand; each has a `value` in memory.
        takes_epilogue: `takes_epilogue(node)`: whether elementwise work on its result can be done in it.
        step: `step(group, reader, targets)`: the step of a group that it anchors.
    """

    def __init__(self, operands, takes_epilogue, step):
        self.operands = operands
        self.takes_epilogue = takes_epilogue
        self.step = step


def _product_step(group, reader, targets):
    return product.Product(group, reader, targets, *group.anchor.operands)


PRODUCT = Library(product.operands_of, product.takes_epilogue, _product_step)


def library(node):
    """The `Library` that has code for a node, or None."""
    return PRODUCT if product.is_product(node) else None


__all__ = ["Library", "library"]
