"""Times NumPy for the benches: reads "name size calls" lines, answers each with the ms of a call.

That is the median of single calls behind one that does not count. The first line answers with
NumPy's version. Operands are seeded and made before the clock: square matrices of the size, or
vectors of so many elements, also seen as rows of 1000.
"""

import statistics
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

vector_cases = {
    "add": lambda v: v["x"] + v["y"],
    "add_number": lambda v: v["x"] + numpy.float32(1.5),
    "mul_add": lambda v: v["x"] * v["y"] + v["z"],
    "exp": lambda v: numpy.exp(v["x"]),
    "softmax": lambda v: softmax(v["rows"]),
    "cumsum": lambda v: numpy.cumsum(v["x"]),
    "sum": lambda v: v["x"].sum(),
    "max": lambda v: v["x"].max(),
    "argmax": lambda v: v["x"].argmax(),
    "mean_rows": lambda v: v["rows"].mean(axis=1),
    "mean_columns": lambda v: v["rows"].mean(axis=0),
    "argmax_rows": lambda v: v["rows"].argmax(axis=1),
    "max_columns": lambda v: v["rows"].max(axis=0),
    "add_small": lambda v: v["x"] + v["y"],
}


def softmax(x):
    e = numpy.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def vectors(size):
    random = numpy.random.default_rng(1)
    made = {name: random.random(size, dtype=numpy.float32) * 2 - 1 for name in "xyz"}
    return {**made, "rows": made["x"].reshape(-1, min(size, 1000))}


def matrices(size):
    random = numpy.random.default_rng(1)
    a = random.standard_normal((size, size), dtype=numpy.float32)
    b = random.standard_normal((size, size), dtype=numpy.float32)
    return {"a": a, "b": b, "definite": a @ a.T + size * numpy.eye(size, dtype=numpy.float32)}


kept = {}


def operands(maker, size):
    """Of the size asked for last: large ones do not fit twice."""
    if (maker, size) not in kept:
        kept.clear()
        kept[maker, size] = maker(size)
    return kept[maker, size]


print(numpy.__version__, flush=True)
for line in sys.stdin:
    name, size, calls = line.split()
    case = vector_cases.get(name) or cases[name]
    given = operands(vectors if name in vector_cases else matrices, int(size))
    case(given)
    times = []
    for _ in range(int(calls)):
        start = time.perf_counter()
        case(given)
        times.append(time.perf_counter() - start)
    print(statistics.median(times) * 1e3, flush=True)
