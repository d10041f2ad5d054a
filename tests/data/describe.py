"""What a dataset gives, as plain values that can be written to a file and compared: elements, specs, sizes, errors."""


def described(tf, make):
    """What `make(tf)` gives: its spec, its size, and the elements of two iterations."""
    tf.random.set_seed(None)
    dataset = make(tf)
    return {
        "spec": str(dataset.element_spec),
        "size": int(dataset.cardinality()),
        "elements": [[plain(tf, element) for element in dataset] for _ in range(2)],
    }


def failure(tf, make):
    """The class and the first words of what `make(tf)`, or iterating over it, raises."""
    tf.random.set_seed(None)
    try:
        made = make(tf)
        for _ in made:
            pass
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)[:160]}
    return {"error": None, "text": ""}


def plain(tf, value):
    """An element as nested lists, each leaf with its dtype."""
    if isinstance(value, dict):
        return {key: plain(tf, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(tf, item) for item in value]
    if value is None:
        return None
    if isinstance(value, tf.RaggedTensor):
        return ["ragged", value.dtype.name, value.row_splits.dtype.name, text(value.to_list())]
    if isinstance(value, tf.SparseTensor):
        parts = (value.indices, value.values, value.dense_shape)
        return ["sparse", value.dtype.name, *[part.numpy().tolist() for part in parts]]
    return [value.dtype.name, text(value.numpy().tolist() if value.shape.rank else value.numpy())]


def text(value):
    """Nested lists with strings in place of bytes, and Python's numbers."""
    if isinstance(value, list):
        return [text(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if hasattr(value, "item") else value
