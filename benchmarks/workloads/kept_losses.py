"""What each of 1000 losses of the MLP step keeps alive when a program keeps them in a list."""

import gc

from measure import resident_megabytes
from row import Row
from workloads import mlp_step

ROW = Row("memory per loss kept, 1000 kept", unit="kB", median=True)


def kilobytes_per_loss(step):
    for _ in range(300):  # until the allocator has what a step needs
        step()
    gc.collect()
    before = resident_megabytes()
    losses = [step() for _ in range(1000)]
    gc.collect()
    return (resident_megabytes() - before) * 1000 / len(losses)


def tensorflow(tf):
    return kilobytes_per_loss(mlp_step.tensorflow_step(tf))


def torch(torch):
    return kilobytes_per_loss(mlp_step.torch_step(torch))


def jax(jax):
    return kilobytes_per_loss(mlp_step.jax_step(jax))
