"""Writing TFRecord files (`tf.io.TFRecordWriter`); `tf.data.TFRecordDataset` reads them."""

import zlib

from tapeflow.api.export import export
from tapeflow.io.files import COMPRESSIONS
from tapeflow.io.records import RecordWriter

# The names of zlib's constants by their values: TensorFlow takes the numbers.
SETTINGS = {
    "window_bits": "wbits",
    "compression_level": "level",
    "compression_method": "method",
    "mem_level": "memLevel",
    "compression_strategy": "strategy",
}


@export("io.TFRecordOptions")
class TFRecordOptions:
    """How a TFRecord file is compressed.

    Args:
        compression_type: None or "", "GZIP" or "ZLIB"; or other options, of which it is taken.
        flush_mode: zlib's, for `TFRecordWriter.flush`.
        input_buffer_size, output_buffer_size: accepted.
        window_bits, compression_level, compression_method, mem_level, compression_strategy: zlib's settings.

    Raises:
        ValueError: another compression.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.TFRecordOptions("GZIP", compression_level=9).compression_type
        'GZIP'
    """

    compression_type_map = {0: "", 1: "ZLIB", 2: "GZIP"}

    def __init__(
        self,
        compression_type=None,
        flush_mode=None,
        input_buffer_size=None,
        output_buffer_size=None,
        window_bits=None,
        compression_level=None,
        compression_method=None,
        mem_level=None,
        compression_strategy=None,
    ):
        self.get_compression_type_string(compression_type)
        self.compression_type = compression_type
        self.flush_mode = flush_mode
        self.input_buffer_size = input_buffer_size
        self.output_buffer_size = output_buffer_size
        self.window_bits = window_bits
        self.compression_level = compression_level
        self.compression_method = compression_method
        self.mem_level = mem_level
        self.compression_strategy = compression_strategy

    @classmethod
    def get_compression_type_string(cls, options):
        """The compression's name of options, of a name, or of a number; "" for None.

        Raises:
            ValueError: another compression.
        """
        if not options:
            return ""
        if isinstance(options, TFRecordOptions):
            return cls.get_compression_type_string(options.compression_type)
        if options in COMPRESSIONS:
            return options
        if options in cls.compression_type_map:
            return cls.compression_type_map[options]
        raise ValueError(f'Not a valid compression_type: "{options}"')

    def _settings(self):
        """zlib's settings that were given, by zlib's names."""
        given = {theirs: getattr(self, ours) for ours, theirs in SETTINGS.items() if getattr(self, ours) is not None}
        if "wbits" in given and self.get_compression_type_string(self) == "GZIP" and given["wbits"] <= zlib.MAX_WBITS:
            given["wbits"] += 16  # zlib's way to say gzip
        return given


@export("io.TFRecordWriter")
class TFRecordWriter:
    """Writes records to a TFRecord file; a `with` statement closes it.

    The file is written in place: what was flushed can be read while more is written.

    Args:
        path: the file's name.
        options: a `TFRecordOptions`, or a compression's name.

    Raises:
        ValueError: another compression.
        NotFoundError, PermissionDeniedError: the file cannot be written.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> with tf.io.TFRecordWriter(os.path.join(tempfile.mkdtemp(), "a.tfrecord")) as writer:
        ...     writer.write(b"a record")
    """

    def __init__(self, path, options=None):
        if not isinstance(options, TFRecordOptions):
            options = TFRecordOptions(compression_type=options)
        compression = TFRecordOptions.get_compression_type_string(options)
        mode = zlib.Z_SYNC_FLUSH if options.flush_mode is None else options.flush_mode
        self._writer = RecordWriter(path, compression, options._settings(), mode)

    def write(self, record):
        """Append a record.

        Args:
            record: bytes, or text, which is encoded as UTF-8.

        Raises:
            FailedPreconditionError: the writer was closed.
            TypeError: a record that is neither.
        """
        if isinstance(record, str):
            record = record.encode()
        elif not isinstance(record, (bytes, bytearray, memoryview)):
            raise TypeError(f"write(): a record is bytes or text, got {type(record).__name__}: {record!r}")
        self._writer.write(record)

    def flush(self):
        """Hand what was written to the operating system."""
        self._writer.flush()

    def close(self):
        """Close the file; again is harmless."""
        self._writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
