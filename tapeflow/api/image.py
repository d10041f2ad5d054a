"""Public names of images (`tf.image`): each part is imported when a program first asks for one of its names."""

from tapeflow.api.export import export_later

PARTS = {
    "geometry": "flip_left_right flip_up_down transpose rot90 crop_to_bounding_box pad_to_bounding_box central_crop "
    "resize_with_crop_or_pad",
    "resize": "ResizeMethod resize resize_with_pad crop_and_resize",
    "color": "convert_image_dtype rgb_to_yuv yuv_to_rgb rgb_to_yiq yiq_to_rgb rgb_to_grayscale grayscale_to_rgb "
    "rgb_to_hsv "
    "hsv_to_rgb adjust_brightness adjust_contrast adjust_saturation adjust_hue adjust_gamma per_image_standardization",
    "random": "random_brightness random_hue random_contrast random_saturation random_flip_left_right "
    "random_flip_up_down "
    "random_crop stateless_random_brightness stateless_random_hue stateless_random_contrast "
    "stateless_random_saturation "
    "stateless_random_flip_left_right stateless_random_flip_up_down stateless_random_crop",
    "boxes": "non_max_suppression non_max_suppression_with_scores non_max_suppression_overlaps non_max_suppression_padded",
    "quality": "psnr ssim ssim_multiscale total_variation image_gradients sobel_edges",
}

for _part, _names in PARTS.items():
    export_later(f"tapeflow.api.image_{_part}", *[f"image.{name}" for name in _names.split()])
export_later("tapeflow.api.image_resize", "raw_ops.ImageProjectiveTransformV2", "raw_ops.ImageProjectiveTransformV3")
CODECS = "decode_png decode_jpeg decode_and_crop_jpeg decode_gif decode_bmp decode_webp decode_image encode_png encode_jpeg"
for _name in [*CODECS.split(), "extract_jpeg_shape", "is_jpeg"]:
    export_later("tapeflow.api.image_codec", f"image.{_name}", f"io.{_name}")
for _name in ("adjust_jpeg_quality", "random_jpeg_quality", "stateless_random_jpeg_quality"):
    export_later("tapeflow.api.image_codec", f"image.{_name}")
