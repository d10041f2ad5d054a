"""The programs of `compiled.py`: what each computes on which arrays, how much work that is, and the ratio to reach.

`compiled_tensorflow.py` (tapeflow and TensorFlow run the same code), `compiled_jax.py` and `compiled_torch.py` each have a
function for the `code` of a program, on the same weights and data. A train step returns its loss and updates by Adam.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PACKAGES = {  # what is measured, and the package that it is of
    "tapeflow": "tapeflow",
    "TF": "tensorflow",
    "TF XLA": "tensorflow",
    "torch": "torch",
    "torch.compile": "torch",
    "JAX": "jax",
}
KERAS = ("tapeflow", "TF", "TF XLA")
RATE, MEAN_DECAY, SQUARE_DECAY, EPSILON = 0.001, 0.9, 0.999, 1e-7  # Adam's

BATCH, LENGTH, WIDTH, HEADS = 8, 128, 256, 4  # the transformer's
STEPS, SEQUENCES, UNITS = 64, 32, 128  # the LSTM's
IMAGES = 64  # the CNN's


@dataclass(frozen=True)
class Program:
    """A row of the table.

    Attributes:
      title: the first cell.
      code: the name of the function in each library's file.
      data: a function of a random generator that gives the arguments.
      weights: the shapes of what is trained.
      flops: multiplications and additions of the matrix products and convolutions in one run, gradients included; 0 where
        others are most of the work.
      target: how many times faster than the best peer tapeflow is to be.
      libraries: those that have it.
      unit: of the times in the table.
      calls: how many times the first results are compared with tapeflow's: the losses of steps that have trained.
      tolerance: of that comparison, relative.
    """

    title: str
    code: str
    data: Callable[[np.random.Generator], list[np.ndarray]]
    weights: tuple[tuple[int, ...], ...] = ()
    flops: float = 0
    target: float | None = None
    libraries: tuple[str, ...] = tuple(PACKAGES)
    unit: str = "µs"
    calls: int = 3
    tolerance: float = 1e-4

    def inputs(self):
        """The weights and the arguments, the same in every process."""
        rng = np.random.default_rng(5)
        return [normal(rng, *shape) * np.float32(0.05) for shape in self.weights], self.data(rng)


def normal(rng, *shape):
    return rng.standard_normal(shape, np.float32)


def labelled(*shape):
    """Random inputs and a label of ten for each."""
    return lambda rng: [normal(rng, *shape), rng.integers(0, 10, shape[0])]


def mnist(rng):
    """The images and labels that tapeflow carries, prepared as the listing does."""
    from pathlib import Path

    with np.load(Path(__file__).parents[1] / "tapeflow" / "assets" / "mnist.npz") as files:
        return [files["x_train"] / 255.0, files["y_train"]]


def dense(batch, *widths):
    """The work of a step of dense layers: forward and for two gradients, of which the first layer has no use for one."""
    products = [2 * batch * left * right for left, right in pairwise(widths)]
    return 3 * sum(products) - products[0]


def convolution(positions, inputs, outputs):
    """The work of a convolution of 3 x 3."""
    return 2 * positions * 9 * inputs * outputs


MLP = (784, 128), (128,), (128, 10), (10,)
CNN = (3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (7 * 7 * 64, 10), (10,)
ATTENTION = (WIDTH, 3 * WIDTH), (3 * WIDTH,), (WIDTH, WIDTH), (WIDTH,)
FEED_FORWARD = (WIDTH, 4 * WIDTH), (4 * WIDTH,), (4 * WIDTH, WIDTH), (WIDTH,)
NORMALISATIONS = ((WIDTH,),) * 4
LSTM = (UNITS, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)

CNN_FLOPS = 2 * convolution(IMAGES * 28 * 28, 1, 32) + 3 * convolution(IMAGES * 14 * 14, 32, 64)
CNN_FLOPS += 3 * 2 * IMAGES * 7 * 7 * 64 * 10
TRANSFORMER_FLOPS = 3 * 2 * BATCH * LENGTH * (12 * WIDTH * WIDTH + 2 * LENGTH * WIDTH)
LSTM_FLOPS = 5 * 2 * STEPS * SEQUENCES * UNITS * 4 * UNITS  # the input has no gradient

PROGRAMS = {
    "scalar": Program("scalar x**2 + sin(x)", "scalar", lambda rng: [np.float32(0.7)], target=5),
    "mlp32": Program(
        "MLP 784-128-10 Adam step, batch 32", "mlp", labelled(32, 784), MLP, dense(32, 784, 128, 10), target=2.2
    ),
    "mlp256": Program(
        "MLP 784-128-10 Adam step, batch 256", "mlp", labelled(256, 784), MLP, dense(256, 784, 128, 10), target=1.8
    ),
    "cnn": Program("CNN Adam step, batch 64", "cnn", labelled(IMAGES, 28, 28, 1), CNN, CNN_FLOPS, target=1.3),
    "transformer": Program(
        f"transformer block Adam step, {BATCH}x{LENGTH}x{WIDTH}",
        "transformer",
        lambda rng: [normal(rng, BATCH, LENGTH, WIDTH)],
        ATTENTION + FEED_FORWARD + NORMALISATIONS,
        TRANSFORMER_FLOPS,
        target=1.1,
    ),
    "lstm": Program(
        f"LSTM Adam step by a loop of {STEPS} steps",
        "lstm",
        lambda rng: [normal(rng, STEPS, SEQUENCES, UNITS)],
        LSTM,
        LSTM_FLOPS,
        target=2.0,
    ),
    "gelu": Program(
        "gradient of gelu(x) tanh(x) + exp(-x x), 4 M", "gelu", lambda rng: [normal(rng, 4_000_000)], target=2.0
    ),
    "collatz": Program("collatz(77031) by while", "collatz", lambda rng: [np.int64(77031)], target=2.0),
    "keras": Program(
        "listing 7's step in Keras, batch 32",
        "keras_step",
        lambda rng: [rng.random((32, 28, 28)), rng.integers(0, 10, 32).astype(np.uint8)],
        MLP,
        dense(32, 784, 128, 10),
        libraries=KERAS,
    ),
    "fit": Program(
        "Keras fit, MNIST, an epoch, batch 32", "keras_fit", mnist, MLP, libraries=KERAS, unit="s", calls=1, tolerance=0.02
    ),
}
