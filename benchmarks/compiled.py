"""Compiled functions beside TensorFlow (plain and XLA) and JAX, side by side in one run: `python benchmarks/compiled.py --help`.

Every library runs in a process of its own; by turns, so that what disturbs one disturbs its neighbour. Times are minima.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from compiled_ops import OPS
from compiled_programs import PROGRAMS, normal, rng

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".venv-peers"
LIBRARIES = {"tapeflow": sys.executable, "TF": PEERS / "tensorflow", "TF XLA": PEERS / "tensorflow", "JAX": PEERS / "jax"}
PROGRAMS |= OPS
WINDOW = 1.5  # seconds of measuring in a round


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help=f"some of {', '.join(PROGRAMS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*options.child)))
        return
    print(f"| work | {' | '.join(LIBRARIES)} | ratio | to reach | GFLOP/s | first two calls, ms |\n|{' --- |' * 9}")
    for name in options.only or PROGRAMS:
        print(row(name, options.rounds), flush=True)


def row(name, rounds):
    """One line of the table."""
    best, first = {}, 0.0
    for _ in range(rounds):
        for library, python in LIBRARIES.items():
            found = run_child(name, library, python)
            if found is not None:
                best[library] = min(found["us"], best.get(library, found["us"]))
                first = found["first"] if library == "tapeflow" else first
    title, _, work, target = PROGRAMS[name]
    ours = best.get("tapeflow")
    peers = [value for library, value in best.items() if library != "tapeflow"]
    ratio = f"{min(peers) / ours:.2f}" if ours and peers else "-"
    cells = [f"{best[x]:.4g}" if x in best else "-" for x in LIBRARIES]
    speed = f"{work / ours * 1e3:.0f}" if work and ours else "-"
    return f"| {title} | {' | '.join(cells)} | {ratio} | {target} | {speed} | {first:.0f} |"


def run_child(name, library, python):
    """What one process measured; None where the library is not there, or has no such program."""
    python = Path(python) / "bin" / "python" if library != "tapeflow" else Path(python)
    if not python.exists():
        return None
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(HERE.parent) if library == "tapeflow" else "",
    }
    command = [str(python), str(HERE / "compiled.py"), "--child", library, name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def measure(library, name):
    """The shortest time of a call, and that of the first two, which trace and compile."""
    if library == "JAX":
        function, arguments = JAX[name]()
    else:
        if library == "tapeflow":
            import tapeflow as tf
        else:
            import tensorflow as tf
        function, arguments = PROGRAMS[name][1](tf)
        function = tf.function(function, jit_compile=True if library == "TF XLA" else None)
    start = time.perf_counter()
    for _ in range(2):
        wait(function(*arguments))
    first = time.perf_counter() - start
    for _ in range(4):
        wait(function(*arguments))
    best, end = float("inf"), time.perf_counter() + WINDOW
    while time.perf_counter() < end:
        start = time.perf_counter()
        wait(function(*arguments))
        best = min(best, time.perf_counter() - start)
    return {"us": best * 1e6, "first": first * 1e3}


def wait(result):
    """JAX returns before it has computed."""
    if hasattr(result, "block_until_ready"):
        result.block_until_ready()


# The same programs in JAX's words


def jax_scalar():
    import jax

    return jax.jit(lambda x: x**2 + jax.numpy.sin(x)), [jax.numpy.float32(0.7)]


def jax_gelu():
    import jax

    def function(x):
        y = jax.nn.gelu(x, approximate=False) * jax.numpy.tanh(x) + jax.numpy.exp(-x * x)
        return y.sum()

    return jax.jit(jax.grad(function)), [jax.numpy.asarray(normal(4_000_000))]


def jax_collatz():
    import jax

    def body(state):
        n, steps = state
        return jax.numpy.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

    def function(n):
        return jax.lax.while_loop(lambda state: state[0] != 1, body, (n, 0))[1]

    jax.config.update("jax_enable_x64", True)
    return jax.jit(function), [jax.numpy.int64(77031)]


def jax_mlp(batch):
    import jax

    np = jax.numpy
    parameters = [np.asarray(normal(*shape) * 0.05) for shape in ((784, 128), (128,), (128, 10), (10,))]
    x, y = np.asarray(normal(batch, 784)), np.asarray(rng.integers(0, 10, batch))

    def loss_of(parameters):
        w1, b1, w2, b2 = parameters
        scores = jax.nn.log_softmax(jax.nn.relu(x @ w1 + b1) @ w2 + b2)
        return -np.mean(np.take_along_axis(scores, y[:, None], 1))

    def step(parameters, means, squares, count):
        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        count = count + 1
        rate = 0.001 * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        means = [m + (g - m) * 0.1 for m, g in zip(means, gradients, strict=True)]
        squares = [s + (g * g - s) * 0.001 for s, g in zip(squares, gradients, strict=True)]
        moved = [p - rate * m / (np.sqrt(s) + 1e-7) for p, m, s in zip(parameters, means, squares, strict=True)]
        return moved, means, squares, count, loss

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [parameters, *[[np.zeros_like(p) for p in parameters] for _ in range(2)], np.float32(0)]

    def run():
        *state[:], loss = jitted(*state)
        return loss

    return run, []


JAX = {
    "scalar": jax_scalar,
    "gelu": jax_gelu,
    "collatz": jax_collatz,
    "mlp32": lambda: jax_mlp(32),
    "mlp256": lambda: jax_mlp(256),
}

if __name__ == "__main__":
    main()
