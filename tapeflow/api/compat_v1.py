"""`tf.compat.v1`: names of TensorFlow 1 that mean the same today, and those whose first parameters still do.

Most names are the functions of today themselves. Some took other parameters, or in another order: they take as many by position as
both have in common, further ones by today's names, and what only the old name says is renamed. The rest is refused. What
`tf.compat.v1` alone has stands in the files of its subject (`where_v1`, `placeholder`, ...).
"""

import functools
import types

# How many leading parameters the old function and today's have in common (TensorFlow 2.21).
LEADING = {
    1: "debugging.assert_negative debugging.assert_non_negative debugging.assert_non_positive debugging.assert_positive shape size"
    " debugging.assert_scalar nn.conv2d nn.conv3d nn.convolution nn.crelu nn.dilation2d nn.erosion2d strings.length tuple",
    2: "argmax argmin assert_equal assert_greater assert_less assert_rank boolean_mask convert_to_tensor debugging.assert_equal"
    " debugging.assert_greater debugging.assert_greater_equal debugging.assert_less debugging.assert_less_equal gather_nd hessians"
    " debugging.assert_none_equal debugging.assert_rank debugging.assert_rank_at_least debugging.assert_rank_in transpose"
    " image.crop_and_resize image.draw_bounding_boxes io.parse_example io.parse_single_example math.argmax math.argmin zeros_like"
    " ones_like nn.depth_to_space nn.space_to_depth sparse.concat expand_dims squeeze strings.to_number"
    " strings.reduce_join",
    3: "cond gather image.sample_distorted_bounding_box io.decode_raw math.confusion_matrix math.count_nonzero nn.moments nn.pool"
    " nn.sparse_softmax_cross_entropy_with_logits nn.sufficient_statistics nn.weighted_moments pad sparse.add sparse.reduce_max"
    " sparse.reduce_sum sparse.segment_mean sparse.segment_sqrt_n sparse.segment_sum strings.split strings.substr"
    " nn.softmax nn.log_softmax math.softmax math.log_softmax",
    4: "constant debugging.assert_near gradients nn.avg_pool nn.avg_pool2d nn.depthwise_conv2d nn.max_pool"
    " nn.weighted_cross_entropy_with_logits norm linalg.norm reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean"
    " reduce_min reduce_prod reduce_sum math.reduce_all math.reduce_any math.reduce_logsumexp math.reduce_max math.reduce_mean"
    " math.reduce_min math.reduce_prod math.reduce_sum",
    5: "image.extract_glimpse io.decode_csv nn.max_pool_with_argmax nn.separable_conv2d reverse_sequence",
    7: "while_loop",
}
COMMON = {name: count for count, names in LEADING.items() for name in names.split()}
RENAMED = {"keep_dims": "keepdims", "preferred_dtype": "dtype_hint", "box_ind": "box_indices", "filter": "filters"}
RENAMED |= dict.fromkeys(("reduction_indices", "dim", "squeeze_dims", "dimension"), "axis")
RENAMED |= dict.fromkeys(("tensor", "value", "input_tensor", "string_tensor"), "input")
WITHOUT_EFFECT = (
    "optimize",
    "use_cudnn_on_gpu",
    "verify_shape",
    "colocate_gradients_with_ops",
    "strict",
    "validate_indices",
)
# What means something else today.
MEANS_ANOTHER = (
    "batch_to_space constant_initializer data.Dataset data.Iterator image.resize math.bincount math.in_top_k ones_initializer"
    " nn.batch_norm_with_global_normalization nn.conv1d nn.conv2d_transpose nn.conv3d_transpose nn.ctc_loss nn.dropout"
    " nn.embedding_lookup nn.embedding_lookup_sparse nn.in_top_k nn.safe_embedding_lookup_sparse nn.space_to_batch"
    " nn.softmax_cross_entropy_with_logits random.poisson random_normal_initializer random_uniform_initializer space_to_batch"
    " sparse.split strings.to_hash_bucket train.Checkpoint zeros_initializer debugging.assert_all_finite optimizers initializers"
)
REFUSED = frozenset(MEANS_ANOTHER.split())


def find(root, name):
    """The value of `tf.compat.v1.<name>` where it is today's, or like it; a module's name where it is a namespace.

    Raises:
        AttributeError: today's is another, or there is none.
    """
    if name in REFUSED:
        raise AttributeError(
            f"tf.compat.v1.{name} is not here: it differs from today's tf.{name}, which should take its place."
        )
    value = root
    for part in name.split("."):
        if part.startswith("_") or not hasattr(value, part):
            raise AttributeError(f"module 'tapeflow.compat.v1' has no attribute {name!r}, and there is no tf.{name}.")
        value = getattr(value, part)
    return _with_old_names(value, name) if name in COMMON else value


def _with_old_names(function, name):
    """A function with the parameters that it and its old form have in common."""
    known = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]

    @functools.wraps(function)
    def old(*args, **kwargs):
        if len(args) > COMMON[name]:
            text = (
                f"tf.compat.v1.{name} takes {COMMON[name]} arguments by position, and further ones by the names of tf.{name}"
            )
            raise TypeError(f"{text}; {len(args)} were given.")
        named = {}
        for key, value in kwargs.items():
            if key not in known and key in WITHOUT_EFFECT:
                continue
            key = key if key in known else RENAMED.get(key, key)
            if value is not None or key not in named:
                named[key] = value
        if named.get("keepdims", True) is None:
            del named["keepdims"]
        return function(*args, **named)

    del old.__wrapped__  # its signature is its own
    return old


def is_namespace(value):
    """Whether a value is a module of ours, which has a twin below `tf.compat.v1`."""
    return isinstance(value, types.ModuleType) and value.__name__.startswith("tapeflow.")
