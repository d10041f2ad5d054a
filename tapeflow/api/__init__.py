"""TensorFlow's public names: checks, composites and signatures over the primitives."""

from tapeflow import ops
from tapeflow.api import array, constants, data, control, framework, gradients, image, linalg, math, nn, numpy, ragged, random, signal, sparse, strings, tensor, variable

__all__ = ["array", "constants", "data", "control", "framework", "gradients", "image", "linalg", "math", "nn", "numpy", "ops", "ragged", "random", "signal", "sparse", "strings", "tensor", "variable"]
