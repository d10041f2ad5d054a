"""What AutoGraph makes of datasets and iterators in Python's builtins and loops: datasets know these themselves, lazily."""

from tapeflow.core.convert import convert_to_tensor
from tapeflow.data.dataset import Dataset
from tapeflow.data.iterator import Iterator
from tapeflow.data.traced import TracedIterator
from tapeflow.trace import autograph


@autograph.overload("enumerate", Dataset)
def _enumerate(dataset, start=0):
    return dataset.enumerate(start)


@autograph.overload("map", Dataset)
def _map(function, *datasets):
    if len(datasets) == 1:
        return datasets[0].map(function)
    return Dataset.zip(datasets).map(function)


@autograph.overload("filter", Dataset)
def _filter(function, dataset):
    return dataset.filter(function)


@autograph.overload("zip", Dataset)
def _zip(*datasets, strict=False):
    others = [x for x in datasets if not isinstance(x, Dataset)]
    return zip(*datasets, strict=strict) if others else Dataset.zip(datasets)


@autograph.overload("any", Dataset)
def _any(dataset):
    return dataset.reduce(convert_to_tensor(False), lambda known, x: known | x)


@autograph.overload("all", Dataset)
def _all(dataset):
    return dataset.reduce(convert_to_tensor(True), lambda known, x: known & x)


@autograph.overload("for", Dataset)
def _for_dataset(dataset, *loop):
    _for_iterator(iter(dataset), *loop)


@autograph.overload("for", TracedIterator)
@autograph.overload("for", Iterator)
def _for_iterator(iterator, *loop):
    from tapeflow.trace.autograph.loops import for_iterator  # it needs malt

    for_iterator(iterator, *loop)
