"""Whether two answers agree: dtype, shape and kind exactly, values to a few units in the last place."""

import ml_dtypes
import numpy as np
from worker import unpack

NO_KERNEL = {"NotFoundError", "UnimplementedError"}


def difference(ours, theirs, case, bad=False):
    """The kind of the first difference and a line about it, or None.

    Kinds: `raises` (only tapeflow raises), `accepts` (only TensorFlow raises), `class` (other exception classes), `kernel`
    (TensorFlow has no kernel for the dtype), `kind`, `dtype`, `shape`, `value`; of gradients with `gradient-` or `second-`
    before it, of bad input with `bad-`.
    """
    for part, prefix in (("value", "bad-" if bad else ""), ("gradient", "gradient-"), ("second", "second-")):
        if part in ours or part in theirs:
            if part not in ours or part not in theirs:
                return None  # an error of the part before, which agreed
            found = outcome(ours[part], theirs[part], case, part)
            if found:
                return prefix + found[0], found[1]
    return None


def outcome(ours, theirs, case, part):
    if "error" in theirs:
        told = f"TensorFlow raises {theirs['error']}: {theirs['text']}"
        if "error" not in ours:
            return ("kernel" if theirs["error"] in NO_KERNEL else "accepts"), f"{told}; tapeflow gives {briefly(ours['ok'])}"
        if ours["error"] != theirs["error"]:
            kind = "kernel" if theirs["error"] in NO_KERNEL else "class"
            return kind, f"{told}; tapeflow {ours['error']}: {ours['text']} ({ours['where']})"
        return None
    if "error" in ours:
        return (
            "raises",
            f"tapeflow raises {ours['error']}: {ours['text']} ({ours['where']}); TensorFlow gives {briefly(theirs['ok'])}",
        )
    return compare(ours["ok"], theirs["ok"], case, part)


def briefly(entry):
    """A result on one line."""
    if "parts" in entry:
        return f"{entry['parts']}({', '.join(briefly(item) for item in entry['items'])})"[:200]
    if "python" in entry:
        return f"{entry['python']} {entry['value']!r}"[:600]
    return f"{entry['dtype']}{list(entry['shape'])} {str(unpack(entry).tolist())[:160]}"


def compare(ours, theirs, case, part):
    both = f"tapeflow gives {briefly(ours)}, TensorFlow {briefly(theirs)}"
    if "parts" in theirs:
        if ours.get("parts") != theirs["parts"] or len(ours["items"]) != len(theirs["items"]):
            return "kind", both
        for a, b in zip(ours["items"], theirs["items"], strict=True):
            found = compare(a, b, case, part)
            if found:
                return found
        return None
    if "python" in theirs:
        if ours.get("python") != theirs["python"]:
            return "kind", both
        return None if same_python(ours, theirs) else ("value", both)
    if ours.get("kind") != theirs["kind"]:
        return "kind", both
    if ours["dtype"] != theirs["dtype"]:
        return "dtype", both
    if ours["shape"] != theirs["shape"] or ours.get("static") != theirs.get("static"):
        return "shape", both
    if ours["data"] == theirs["data"]:
        return None
    worst = distance(unpack(ours), unpack(theirs), case, part)
    return ("value", f"{both} ({worst})") if worst else None


def same_python(ours, theirs):
    if ours["python"] in ("float", "complex"):
        a, b = complex(ours["value"]), complex(theirs["value"])
        return repr(a) == repr(b) or abs(a - b) <= 1e-6 * abs(b)
    return ours["value"] == theirs["value"]


def distance(a, b, case, part):
    """A word on how far two arrays are apart, or None where they agree."""
    if a.dtype.kind in "iub" or a.dtype == object or (case.tolerance == "exact" and part == "value"):
        same = np.array_equal(a, b) if a.dtype == object else np.array_equal(a, b, equal_nan=a.dtype.kind not in "iub")
        return None if same else "not equal"
    if a.dtype.kind == "c":
        # A complex infinity has any other part, as in C.
        unsound = ~np.isfinite(b) & ~np.isfinite(a)
        a, b = np.where(unsound, 0, a), np.where(unsound, 0, b)
        scale = np.abs(b)
    eps = float(ml_dtypes.finfo(a.real.dtype).eps)
    tiny = float(ml_dtypes.finfo(a.real.dtype).tiny)
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    x, y = a.astype(wide), b.astype(wide)
    if not np.array_equal(np.isnan(x), np.isnan(y)):
        return "NaN in other places"
    if not np.array_equal(np.isinf(x), np.isinf(y)) or np.any(np.isinf(y) & (x != y) & (a.dtype.kind != "c")):
        limit = float(ml_dtypes.finfo(a.real.dtype).max)
        near = np.where(np.isinf(x), np.sign(x) * limit, x), np.where(np.isinf(y), np.sign(y) * limit, y)
        if np.any(np.abs(near[0] - near[1]) > 1e-2 * limit) if a.dtype.kind != "c" else True:
            return "infinities in other places"
    finite = np.isfinite(y) & np.isfinite(x)
    x, y = x[finite], y[finite]
    ulps = case.ulps * {"value": 1, "gradient": 4, "second": 16}[part]
    ulps = max(ulps / 4, 2) if eps > 1e-4 and part == "value" else ulps
    scale = np.abs(y)
    if case.tolerance == "norm" and y.size:
        scale = np.maximum(scale, max(1.0, float(np.max(np.abs(y)))))
    allowed = ulps * eps * scale + (1 if part == "value" else 1e3) * 4 * tiny
    if case.tolerance != "norm" and part != "value":
        allowed = allowed + ulps * eps  # cancellation within a derivative
    with np.errstate(over="ignore"):
        off = np.abs(x - y) > allowed
    if not np.any(off):
        return None
    with np.errstate(over="ignore"):
        worst = np.max(np.abs(x - y)[off] / np.maximum(scale[off], tiny)) / eps
    return f"{worst:.3g} units in the last place"
