"""Matrix products against NumPy's OpenBLAS on the same number of threads, side by side: `python benchmarks/native/gemm.py`.

Each number of threads runs in a process of its own, since OpenBLAS reads its number when it is loaded.
"""

import os
import subprocess
import sys

SHAPES = [
    (32, 784, 128, "NN"), (784, 32, 128, "TN"), (256, 784, 128, "NN"), (784, 256, 128, "TN"), (256, 128, 784, "NT"),
    (512, 512, 512, "NN"), (512, 512, 512, "TN"), (512, 512, 512, "NT"),
    (1024, 1024, 1024, "NN"), (1024, 1024, 1024, "TN"), (1024, 1024, 1024, "NT"),
]  # fmt: skip


def main(threads):
    import numpy as np
    from timing import F32, Peak, alternately, normal, on_pool, with_threads

    from tapeflow.compile.gemm import Matmul, emit_matmul
    from tapeflow.compile.micro import slot

    peak = Peak()
    with_threads(threads)
    print(f"{threads} threads; GFLOP/s, and the share of the peak measured beside")
    print(f"{'m x k x n':>16}    {'ours':>5}  peak  {'NumPy':>5}  ratio  compile")
    for m, k, n, kind in SHAPES:
        a = normal((k, m) if kind[0] == "T" else (m, k))
        b = normal((n, k) if kind[1] == "T" else (k, n))
        c, other = normal((m, n)), normal((m, n))
        spec = Matmul.dense(m, n, k, F32, kind[0] == "T", kind[1] == "T")
        run, compiled, kernel = on_pool(
            lambda module, spec=spec: emit_matmul(module, spec, a=slot(0), b=slot(1), c=slot(2), workspace=slot(3)),
            [a, b, c],
        )
        left, right = (a.T if kind[0] == "T" else a), (b.T if kind[1] == "T" else b)

        def theirs(left=left, right=right, other=other):
            np.matmul(left, right, out=other)

        ours, blas, most = alternately([run, theirs, peak.run])
        assert np.abs(c - other).max() < 1e-5 * k
        speed = [2 * m * n * k / time / 1e9 for time in (ours, blas)]
        share = speed[0] / (threads * peak.flops / most / 1e9)
        row = f"{speed[0]:>5.0f}  {share:>4.0%}  {speed[1]:>5.0f}  {blas / ours:>5.2f}  {compiled * 1e3:.0f} ms"
        print(f"{m:>5}x{k:>4}x{n:>4} {kind}  {row}")
        print(f"{'':>16}    {kernel.note}") if "-v" in sys.argv else None


if __name__ == "__main__":
    if "--threads" in sys.argv:
        main(int(sys.argv[sys.argv.index("--threads") + 1]))
    else:
        for count in (1, 2):
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(count)}
            command = [sys.executable, __file__, "--threads", str(count), *sys.argv[1:]]
            subprocess.run(command, env=environment, check=True)
