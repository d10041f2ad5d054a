"""Convolutions and their gradients beside torch's channels_last ones: `python benchmarks/native/conv.py`.

torch runs in its own environment (`make bench-peers`), one shape at a time after ours; without it only ours are shown.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCH = ROOT / ".venv-peers/torch/bin/python"
SHAPES = [
    (4, 28, 32, 64),
    (64, 28, 1, 32),
    (16, 14, 32, 64),
    (1, 56, 64, 64),
    (1, 14, 256, 256),
]  # images, side, channels, features
PARTS = ("value", "input", "filter")

THEIRS = """
import json, sys, time, torch
images, side, channels, features, threads = map(int, sys.argv[1:])
torch.set_num_threads(threads)
last = torch.channels_last
x = torch.randn(images, channels, side, side).to(memory_format=last)
w = torch.randn(features, channels, 3, 3).to(memory_format=last)
g = torch.randn_like(torch.nn.functional.conv2d(x, w, padding=1))
backward = torch.ops.aten.convolution_backward

def gradient(mask):
    return lambda: backward(g, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, mask)

def best(function, seconds=0.5):
    least, end = 9.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        least = min(least, time.perf_counter() - start)
    return least

with torch.no_grad():
    value = lambda: torch.nn.functional.conv2d(x, w, padding=1)
    print(json.dumps([best(run) for run in (value, gradient([True, False, False]), gradient([False, True, False]))]))
"""


def theirs(shape, threads):
    """torch's times of a shape, or nothing where there is no torch."""
    if not TORCH.exists():
        return [float("nan")] * 3
    command = [str(TORCH), "-c", THEIRS, *map(str, (*shape, threads))]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def ours(shape):
    """Functions that run our kernels on random data."""
    from timing import F32, normal, on_pool

    from tapeflow.compile.conv import Conv, emit_conv, emit_conv_input
    from tapeflow.compile.conv_filter import emit_conv_filter
    from tapeflow.compile.micro import slot

    images, side, channels, features = shape
    conv = Conv(images, (side, side), (3, 3), (side, side), channels, features, F32, (1, 1), (1, 1), (1, 1))
    x, w = normal((images, side, side, channels)), normal((3, 3, channels, features))
    y = normal((images, side, side, features))
    last = {"workspace": slot(3)}
    writers = [
        (lambda module: emit_conv(module, conv, x=slot(0), w=slot(1), y=slot(2), **last), [x, w, y]),
        (lambda module: emit_conv_input(module, conv, g=slot(0), w=slot(1), dx=slot(2), **last), [y, w, x]),
        (lambda module: emit_conv_filter(module, conv, x=slot(0), g=slot(1), dw=slot(2), **last), [x, y, w]),
    ]
    return [on_pool(write, buffers)[0] for write, buffers in writers]


def main():
    from timing import Peak, alternately, with_threads

    peak = Peak()
    print("GFLOP/s, the share of the peak measured beside, and how much faster than torch")
    for shape in SHAPES:
        images, side, channels, features = shape
        flops = 2 * images * side * side * 9 * channels * features
        runs = ours(shape)
        for threads in (1, 2):
            with_threads(threads)
            *times, most = alternately([*runs, peak.run], rounds=4)
            for part, time, other in zip(PARTS, times, theirs(shape, threads), strict=True):
                share = flops / time / (threads * peak.flops / most)
                print(
                    f"{images}x{side}x{side}x{channels} -> {features}, {threads} threads, {part:<6}  "
                    f"{flops / time / 1e9:>4.0f}  {share:>4.0%}  {other / time:>5.2f}"
                )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
