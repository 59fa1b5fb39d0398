"""Times NumPy for the benches: reads "name size calls" lines, answers each with ms a call.

The first line answers with NumPy's version. Matrices are seeded and made before the clock.
"""

import sys
import time

import numpy

cases = {
    "matmul": lambda m: m["a"] @ m["b"],
    "svdValues": lambda m: numpy.linalg.svd(m["a"], compute_uv=False),
    "svd": lambda m: numpy.linalg.svd(m["a"]),
    "qr": lambda m: numpy.linalg.qr(m["a"]),
    "cholesky": lambda m: numpy.linalg.cholesky(m["definite"]),
    "eigh": lambda m: numpy.linalg.eigh(m["definite"]),
    "solve": lambda m: numpy.linalg.solve(m["a"], m["b"]),
    "inverse": lambda m: numpy.linalg.inv(m["a"]),
    "lstsq": lambda m: numpy.linalg.lstsq(m["a"], m["b"][:, :1], rcond=None),
}


def matrices(size):
    random = numpy.random.default_rng(1)
    a = random.standard_normal((size, size), dtype=numpy.float32)
    b = random.standard_normal((size, size), dtype=numpy.float32)
    return {"a": a, "b": b, "definite": a @ a.T + size * numpy.eye(size, dtype=numpy.float32)}


made = {}
print(numpy.__version__, flush=True)
for line in sys.stdin:
    name, size, calls = line.split()
    if size not in made:
        made[size] = matrices(int(size))
    cases[name](made[size])
    start = time.perf_counter()
    for _ in range(int(calls)):
        cases[name](made[size])
    print((time.perf_counter() - start) * 1e3 / int(calls), flush=True)
