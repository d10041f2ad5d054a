"""The one reverse walk: records in, cotangents out. Tapes and graphs share it."""

from tapeflow.core.primitive import P, bind, is_large
from tapeflow.core.rules import same
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import ongoing
from tapeflow.core.tensor import Spec, Tensor, ndarray


def reachable(records, sources):
    """The marks that depend on those in `sources`, themselves included."""
    found = set(sources)
    for record in records:
        for mark in record[1]:
            if mark is not None and mark in found:
                found.update(record[3])
                break
    return found


def pull_back(records, seeds, sources, complete=False):
    """Carry cotangents from results back to sources.

    Args:
        records: the recorded ops in program order.
        seeds: pairs (mark, cotangent) of the targets; pairs of one mark add up.
        sources: the marks whose cotangents are wanted.
        complete: everything recorded depends on the sources (they are all that was watched): nothing needs to be left out.

    Returns:
        A dict from id(mark) to cotangent (a tensor or `IndexedSlices`); a source without one is not connected.
    """
    sources = set(sources)
    cotangents = {}
    for mark, g in seeds:
        _accumulate(cotangents, mark, g)
    walk(records, cotangents, sources, None if complete else reachable(records, sources))
    return {id(mark): g for mark, g in cotangents.items()}


def walk(records, cotangents, kept=(), useful=None):
    """Carry cotangents back through some records; the heart of `pull_back`.

    Args:
        records: the recorded ops in program order.
        cotangents: a dict from mark to cotangent, of the targets; those of the sources are added, those of results used up.
        kept: the marks, where results may be among them, whose cotangents are to stay (a container with a quick `in`).
        useful: the marks from which a source can be reached; None for all.
    """
    for op, marks, saved, outs, specs, attrs, _ in reversed(records):
        if specs is None:  # one result: the usual case, in line
            (out,) = outs
            g = cotangents.pop(out, None)
            if g is None:
                continue
            if kept and out in kept:
                cotangents[out] = g
            if g.__class__ is IndexedSlices:
                if op is P.identity:  # the slices pass through, as from a copy of an embedding table
                    if useful is None or marks[0] in useful:
                        _accumulate(cotangents, marks[0], g)
                    continue
                g = g.dense()
        else:
            g = _taken(op, cotangents, outs, specs, kept)
            if g is None:
                continue
        if saved.__class__ is tuple:
            if useful is not None or g.__class__ is not Tensor or g._dtype.is_complex:
                _carry(saved, g, cotangents, useful, attrs)
                continue
            for edge in saved:  # `_carry`, in line for one tensor
                if edge is None:
                    continue
                mark, rule, dims, residuals = edge
                if rule.call is same:
                    result = g
                elif attrs:
                    result = rule.call(g, *residuals, **rule.attrs(attrs))
                elif rule.on_values is None or ongoing or (result := on_arrays(rule.on_values, g, residuals)) is None:
                    if rule.reads == 2:  # a call with a star is three times as slow
                        x, y = residuals
                        result = rule.call(g, x, y)
                    elif rule.reads == 1:
                        (x,) = residuals
                        result = rule.call(g, x)
                    else:
                        result = rule.call(g, *residuals)
                if dims is not None:
                    result = bind(P.sum_to, (result,), {"shape": dims})
                if result is not None:
                    if mark in cotangents:
                        result = add_cotangents(result, cotangents[mark])
                    cotangents[mark] = result
        elif saved is not None:
            rule, residuals = saved
            needs = tuple([mark is not None and (useful is None or mark in useful) for mark in marks])
            if any(needs):
                results = rule.call(g, needs, *residuals, **rule.attrs(attrs))
                for mark, need, result in zip(marks, needs, results, strict=True):
                    if need and result is not None:
                        _accumulate(cotangents, mark, result)


def on_arrays(rule, g, residuals):
    """What a rule makes of the values themselves, without a tensor for each step; None where that fails, or gives another dtype."""
    before = g._value
    if is_large(before):
        return None  # tensors find native code
    try:
        if len(residuals) == 2:  # a call with a star and a list is three times as slow
            x, y = residuals
            value = rule(before, x._value, y._value)
        elif len(residuals) == 1:
            (x,) = residuals
            value = rule(before, x._value)
        else:
            value = rule(before, *[x._value for x in residuals])
    except Exception:  # the op that fails has the words for it
        return None
    if value.__class__ is not before.__class__ or (value.__class__ is ndarray and value.dtype is not before.dtype):
        return None
    result = Tensor()
    result._value = value
    result._dtype = g._dtype
    result._mark = None
    return result


def _carry(saved, g, cotangents, useful, attrs):
    """Carry the cotangent of an op's result to its inputs, by the rule for each."""
    for edge in saved:
        if edge is None:
            continue
        mark, rule, dims, residuals = edge
        if useful is not None and mark not in useful:
            continue
        if rule.call is same:
            result = g
        elif rule.scales and g._dtype.is_complex:
            result = P.conj(rule.call(P.conj(g), *residuals, **rule.attrs(attrs)))
        else:
            result = rule.call(g, *residuals, **rule.attrs(attrs))
        if dims is not None:
            result = P.sum_to(result, shape=dims)
        if result is not None:
            _accumulate(cotangents, mark, result)


def _taken(op, cotangents, outs, specs, kept):
    """The cotangents of a record's several results, or None where nothing reached any of them."""
    taken = []
    for out in outs:
        g = cotangents.get(out) if out in kept else cotangents.pop(out, None)
        taken.append(g.dense() if g.__class__ is IndexedSlices else g)
    if all(g is None for g in taken):
        return None
    if op.partial:
        return tuple(taken)
    return tuple([zeros(spec) if g is None else g for g, spec in zip(taken, specs, strict=True)])


def _accumulate(cotangents, mark, g):
    before = cotangents.get(mark)
    cotangents[mark] = g if before is None else add_cotangents(g, before)


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


__all__ = ["add_cotangents", "on_arrays", "pull_back", "reachable", "walk", "zeros"]
