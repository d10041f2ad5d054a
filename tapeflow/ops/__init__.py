"""The primitives, one family a file. Importing this package registers them all; rules reach them as `P.name`."""

from tapeflow.ops import bits, contract, conv, elementwise, index, linalg, movement, nn, random, reduce, sort, special

__all__ = ["bits", "contract", "conv", "elementwise", "index", "linalg", "movement", "nn", "random", "reduce", "sort", "special"]
