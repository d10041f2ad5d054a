"""The one reverse walk: records in, cotangents out. Tapes and graphs share it."""

from tapeflow.core.primitive import P
from tapeflow.core.record import same
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
        _accumulate(cotangents, id(mark), g)
    for op, marks, saved, outs, specs, attrs, _ in reversed(records):
        if specs is None:  # one result: the usual case, in line
            key = id(outs[0])
            g = cotangents.get(key)
            if g is None:
                continue
            if key not in wanted:
                del cotangents[key]
            if g.__class__ is IndexedSlices:
                if op is P.identity:  # the slices pass through, as from a copy of an embedding table
                    if id(marks[0]) in useful:
                        _accumulate(cotangents, id(marks[0]), g)
                    continue
                g = g.dense()
        else:
            g = _taken(op, cotangents, outs, specs, wanted)
            if g is None:
                continue
        if saved.__class__ is list:
            for mark, entry in zip(marks, saved, strict=True):
                if entry is not None and id(mark) in useful:
                    result = _apply(entry, g, attrs)
                    if result is not None:
                        _accumulate(cotangents, id(mark), result)
        elif saved is not None:
            rule, residuals = saved
            needs = tuple([mark is not None and id(mark) in useful for mark in marks])
            if any(needs):
                results = rule.call(g, needs, *residuals, **rule.attrs(attrs))
                for mark, need, result in zip(marks, needs, results, strict=True):
                    if need and result is not None:
                        _accumulate(cotangents, id(mark), result)
    return cotangents


def _apply(entry, g, attrs):
    """The cotangent of one input."""
    rule, residuals, dims = entry
    call = rule.call
    if call is same:
        result = g
    elif rule.scales and g._dtype.is_complex:
        result = P.conj(call(P.conj(g), *residuals, **rule.attrs(attrs)))
    elif attrs:
        result = call(g, *residuals, **rule.attrs(attrs))
    else:
        result = call(g, *residuals)
    return result if dims is None else P.sum_to(result, shape=dims)


def _taken(op, cotangents, outs, specs, wanted):
    """The cotangents of a record's several results, or None where nothing reached any of them."""
    taken = []
    for out in outs:
        key = id(out)
        g = cotangents.get(key) if key in wanted else cotangents.pop(key, None)
        taken.append(g.dense() if g.__class__ is IndexedSlices else g)
    if all(g is None for g in taken):
        return None
    if op.partial:
        return tuple(taken)
    return tuple([zeros(spec) if g is None else g for g, spec in zip(taken, specs, strict=True)])


def _accumulate(cotangents, key, g):
    before = cotangents.get(key)
    cotangents[key] = g if before is None else add_cotangents(g, before)


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
