"""The one reverse walk: records in, cotangents out. Tapes and graphs share it."""

from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Spec


def reachable(records, sources):
    """The ids of the marks that depend on the marks in `sources`, themselves included."""
    found = {id(mark) for mark in sources}
    for record in records:
        for mark in record[1]:
            if mark is not None and id(mark) in found:
                found.update([id(out) for out in record[3]])
                break
    return found


def pull_back(records, seeds, sources):
    """Carry cotangents from results back to sources.

    Args:
        records: the recorded ops in program order.
        seeds: pairs (mark, cotangent) of the targets; pairs of one mark add up.
        sources: the marks whose cotangents are wanted.

    Returns:
        A dict from id(mark) to cotangent (a tensor or `IndexedSlices`); a source without one is not connected.
    """
    useful = reachable(records, sources)
    wanted = {id(mark) for mark in sources}
    cotangents = {}
    for mark, g in seeds:
        _accumulate(cotangents, mark, g)
    for op, marks, saved, outs, specs, attrs, _ in reversed(records):
        g = _taken(cotangents, outs, specs, wanted)
        if g is None or saved is None:
            continue
        if op.plans.__class__ is tuple:
            for mark, entry in zip(marks, saved, strict=True):
                if entry is not None and id(mark) in useful:
                    rule, residuals = entry
                    result = rule.call(g, *residuals, **rule.attrs(attrs)) if attrs else rule.call(g, *residuals)
                    if result is not None:
                        _accumulate(cotangents, mark, result)
        else:
            rule, residuals = saved
            needs = tuple([mark is not None and id(mark) in useful for mark in marks])
            if any(needs):
                results = rule.call(g, needs, *residuals, **rule.attrs(attrs))
                for mark, need, result in zip(marks, needs, results, strict=True):
                    if need and result is not None:
                        _accumulate(cotangents, mark, result)
    return cotangents


def _taken(cotangents, outs, specs, wanted):
    """The cotangent of a record's result (a tuple of them where it has several), or None where nothing reached it."""
    if specs is None:
        key = id(outs[0])
        g = cotangents.get(key) if key in wanted else cotangents.pop(key, None)
        return g if g.__class__ is not IndexedSlices else g.dense()
    taken = [_taken(cotangents, (out,), None, wanted) for out in outs]
    if all(g is None for g in taken):
        return None
    return tuple([zeros(spec) if g is None else g for g, spec in zip(taken, specs, strict=True)])


def _accumulate(cotangents, mark, g):
    key = id(mark)
    before = cotangents.get(key)
    cotangents[key] = g if before is None else add_cotangents(before, g)


def add_cotangents(a, b):
    """The sum of two cotangents; two `IndexedSlices` are put one behind the other."""
    if a.__class__ is IndexedSlices and b.__class__ is IndexedSlices:
        return a.concatenated(b)
    a = a.dense() if a.__class__ is IndexedSlices else a
    b = b.dense() if b.__class__ is IndexedSlices else b
    return P.add(a, b)


def zeros(like):
    """Zeros of a `Spec`'s or tensor's shape and dtype."""
    if like.__class__ is Spec:
        return P.fill(shape=like.shape, value=0, dtype=like.dtype)
    return P.zeros_like(like)


__all__ = ["add_cotangents", "pull_back", "reachable", "zeros"]
