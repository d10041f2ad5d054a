"""Calls of `tf.io` and `tf.image`, as source text, that tapeflow and TensorFlow evaluate alike, and how results are told.

`golden.json` holds what TensorFlow gives; `make_golden.py` makes it. `{folder}` in a call is a folder that `prepare` fills.
"""

import hashlib

import numpy as np

PARSING = """
one(a, {'i': F([3], tf.int64)})
one(a, {'i': F([2], tf.int64)})
one(a, {'i': F([], tf.int64)})
one(b, {'i': F([], tf.int64)})
one(a, {'z': F([], tf.int64)})
one(a, {'z': F([], tf.int64, 9)})
one(a, {'z': F([2], tf.int64, [1, 2])})
one(a, {'z': F([2], tf.int64, 5)})
one(a, {'z': F([2], tf.int64, [1, 2, 3])})
one(a, {'z': F([], tf.string, 'd')})
one(a, {'i': F([3], tf.float32)})
one(a, {'i': F([3], tf.string)})
one(a, {'i': F([3], tf.int32)})
one(a, {'e': F([], tf.int64)})
one(a, {'e': F([], tf.int64, 3)})
one(a, {'i': F([None], tf.int64)})
one(a, {'i': F([3, None], tf.int64)})
one(a, {'i': Q([], tf.int64)})
one(a, {'i': Q([], tf.int64, allow_missing=True)})
one(a, {'i': Q([2], tf.int64, allow_missing=True)})
one(a, {'f': Q([2], tf.float32, allow_missing=True)})
one(a, {'z': Q([], tf.int64, allow_missing=True)})
one(a, {'i': V(tf.int64), 'f': V(tf.float32), 'b': V(tf.string), 'z': V(tf.int64)})
one(a, {'i': V(tf.float32)})
one(a, {'i': V(tf.int32)})
one(a, {'i': R(tf.int64)})
one(a, {'z': R(tf.int64)})
one(ex(v=[1, 2, 3], l=[1, 2]), {'x': R(tf.int64, value_key='v', partitions=[R.RowLengths('l')])})
one(ex(v=[1, 2, 3, 4]), {'x': R(tf.int64, value_key='v', partitions=[R.UniformRowLength(2)])})
one(ex(v=[1, 2, 3]), {'x': R(tf.int64, value_key='v', partitions=[R.UniformRowLength(2)])})
one(ex(v=[1, 2, 3], l=[1, 1]), {'x': R(tf.int64, value_key='v', partitions=[R.RowLengths('l')])})
one(ex(v=[1, 2, 3], l=[0, 2]), {'x': R(tf.int64, value_key='v', partitions=[R.RowStarts('l')])})
one(ex(v=[1, 2, 3], l=[2, 3]), {'x': R(tf.int64, value_key='v', partitions=[R.RowLimits('l')])})
one(ex(v=[1, 2, 3], l=[0, 0, 1]), {'x': R(tf.int64, value_key='v', partitions=[R.ValueRowIds('l')])})
one(ex(ix=[1, 3], v=[0.5, 1.5]), {'x': S('ix', 'v', tf.float32, 5)})
one(b'garbage', {'i': F([], tf.int64)})
one(b'', {'i': F([], tf.int64)})
one(b'', {'i': V(tf.int64)})
one([a], {'i': V(tf.int64)})
one(a, {})
one(a, None)
one(a, {'i': 3})
many([a, b], {'i': F([], tf.int64)})
many([a, b], {'b': F([], tf.string)})
many([b, b], {'b': F([], tf.string), 'i': F([1], tf.int64)})
many([a, b], {'z': F([], tf.int64)})
many([a, b], {'z': F([], tf.int64)}, example_names=['A', 'B'])
many([a, b], {'z': F([2], tf.float32, [0.5, 1.5])})
many([a, b], {'i': Q([], tf.int64, allow_missing=True)})
many([a, b], {'i': Q([], tf.int64, allow_missing=True, default_value=-1)})
many([a, b], {'b': Q([], tf.string, allow_missing=True)})
many([a, b], {'i': V(tf.int64), 'z': V(tf.string)})
many(a, {'i': V(tf.int64)})
many([[a]], {'i': V(tf.int64)})
many(tf.constant([a, b]), {'i': R(tf.int64)})
many([a, b], {'i': R(tf.int64, row_splits_dtype=tf.int64)})
many([a, b], {'k': R(tf.string, value_key='b')})
many([a, b], {'k': R(tf.float32, value_key='i')})
many([ex(v=[1, 2, 3], l=[1, 2]), ex(v=[1], l=[0, 1])], {'x': R(tf.int64, value_key='v', partitions=[R.RowLengths('l')])})
many([ex(v=[1, 2, 3], l=[0, 1, 3]), ex(v=[1], l=[0, 1])], {'x': R(tf.int64, value_key='v', partitions=[R.RowSplits('l')])})
many([ex(v=[1, 2, 3], l=[0, 1]), ex(v=[1], l=[0])], {'x': R(tf.int64, value_key='v', partitions=[R.RowStarts('l')])})
many([ex(v=[1, 2, 3], l=[1, 3]), ex(v=[1], l=[1])], {'x': R(tf.int64, value_key='v', partitions=[R.RowLimits('l')])})
many([ex(v=[1, 2, 3], l=[0, 2, 2]), ex(v=[1], l=[0])], {'x': R(tf.int64, value_key='v', partitions=[R.ValueRowIds('l')])})
many([ex(v=[1, 2, 3, 4]), ex(v=[1, 2])], {'x': R(tf.int64, value_key='v', partitions=[R.UniformRowLength(2)])})
many([ex(v=[1, 2, 3], l=[1, 2], o=[2]), ex(v=[4], l=[1], o=[0, 1])], {'x': R(tf.int64, 'v', [R.RowLengths('o'), R.RowLengths('l')])})
many([ex(ix=[3, 1], v=[0.5, 1.5]), ex(ix=[0], v=[2.5])], {'x': S('ix', 'v', tf.float32, 5)})
many([ex(ix=[3, 1], v=[0.5, 1.5]), ex(ix=[0], v=[2.5])], {'x': S('ix', 'v', tf.float32, 5, already_sorted=True)})
many([ex(ix=[1], iy=[2], v=[0.5])], {'x': S(['ix', 'iy'], 'v', tf.float32, [5, 6])})
many([ex(ix=[1, 2], v=[0.5])], {'x': S('ix', 'v', tf.float32, 5)})
oneS(s1, {'c': F([], tf.int64)}, {'l': V(tf.int64), 'd': Q([2], tf.int64)})
oneS(s2, {'c': F([], tf.int64)}, {'l': V(tf.int64), 'd': Q([2], tf.int64)})
oneS(s2, {'c': F([], tf.int64)}, {'l': R(tf.int64)})
oneS(s1, {'q': F([], tf.int64)}, {'l': V(tf.int64)})
oneS(s1, {'c': V(tf.int64)}, {'q': Q([], tf.int64)})
oneS(s1, {'c': V(tf.int64)}, {'q': Q([], tf.int64, allow_missing=True)})
oneS(s1, {'c': V(tf.int64)}, {'l': Q([], tf.int64)})
oneS(s1, {'c': V(tf.int64)}, {'l': Q([], tf.float32)})
manyS([s1, s2], {'c': F([], tf.int64)}, {'l': V(tf.int64), 'd': Q([2], tf.int64)})
manyS([s1, s2], {'c': F([], tf.int64)}, {'d': Q([2], tf.int64, allow_missing=True)})
manyS([s1, s2], {'c': V(tf.int64)}, {'l': R(tf.int64), 'd': R(tf.int64)})
manyS([s1, s2], {'c': R(tf.int64)}, {'l': R(tf.int64)})
manyS([s1, s2], None, {'l': V(tf.int64)})
manyS([s1, s2], {'c': F([], tf.int64)}, None)
manyS([s1, s2])
manyS([b'bad'], {'c': F([], tf.int64)}, None)
manyS([s1, s2], {'c': F([], tf.int64)}, {'q': Q([], tf.int64)}, ['A', 'B'])
"""

FORMATS = r"""
io.decode_csv(['1,2.5,x', '4,5.5,y'], [[0], [0.0], ['']])
io.decode_csv('1,2.5,x', [[0], [0.0], ['']])
io.decode_csv('1,,x', [[7], [0.25], ['']])
io.decode_csv('1,,x', [tf.constant([], tf.int32), tf.constant([], tf.float32), ['']])
io.decode_csv('a,2', [[0], [0]])
io.decode_csv('99999999999,2', [[0], [0]])
io.decode_csv('1.5,2', [[0], [0]])
io.decode_csv('1,2,3', [[0], [0]])
io.decode_csv('1', [[0], [0]])
io.decode_csv('"a,b",2', [[''], [0]])
io.decode_csv('"a""b",2', [[''], [0]])
io.decode_csv('a"b,2', [[''], [0]])
io.decode_csv('"a"b,2', [[''], [0]])
io.decode_csv('"ab,2', [[''], [0]])
io.decode_csv('a"b,2', [[''], [0]], use_quote_delim=False)
io.decode_csv('1|2', [[0], [0]], field_delim='|')
io.decode_csv('1|2', [[0], [0]], field_delim='||')
io.decode_csv('NA,2', [[5], [0]], na_value='NA')
io.decode_csv('"NA",2', [[5], [0]], na_value='NA')
io.decode_csv('1,2,3', [[0], [0]], select_cols=[0, 2])
io.decode_csv('1,2,3', [[0], [0]], select_cols=[2, 0])
io.decode_csv('1,2,3', [[0], [0]], select_cols=[0, 5])
io.decode_csv('1,2,3', [[0], [0]], select_cols=[0])
io.decode_csv(' 1, 2', [[0], [0]])
io.decode_csv('1,2', [[0], [True]])
io.decode_csv('1,2', [[0, 1], [0]])
io.decode_csv('1,2', [0, 0])
io.decode_csv('', [[0]])
io.decode_csv([['1,2'], ['3,4']], [[0], [0]])
io.decode_csv('1,2\n', [[0], [0]])
io.decode_csv('1,"2\n3"', [[0], ['']])
io.decode_csv('1e3,inf', [[0.0], [0.0]])
io.decode_raw(['abcd', 'efgh'], tf.uint8)
io.decode_raw(['abcd', 'efgh'], tf.int16)
io.decode_raw(['abcd', 'efgh'], tf.int16, little_endian=False)
io.decode_raw(['abc'], tf.int16)
io.decode_raw(['abcd', 'ef'], tf.uint8)
io.decode_raw('abcd', tf.float32)
io.decode_raw([], tf.uint8)
io.decode_raw(['abcd', 'e'], tf.uint8, fixed_length=3)
io.decode_raw(['abcd', 'e'], tf.int16, fixed_length=3)
io.decode_raw(['abcd', 'e'], tf.int16, fixed_length=4)
io.decode_raw('abcd', tf.bool)
io.decode_raw('abcdefgh', tf.complex64)
io.decode_raw('abcdefgh', tf.complex64, little_endian=False)
io.decode_raw('abcd', tf.string)
io.decode_raw('abcd', tf.uint32)
io.encode_base64('hello?>')
io.encode_base64(['a', 'ab'], pad=True)
io.decode_base64('aGVsbG8_Pg')
io.decode_base64('aGVsbG8_Pg==')
io.decode_base64('aGVsbG8/Pg==')
io.decode_base64('a')
io.decode_base64('aG')
io.decode_base64('aGV$')
io.decode_base64('aG=V')
io.serialize_tensor(tf.constant([1, 2]))
io.serialize_tensor(tf.constant([1.5, 2.5]))
io.serialize_tensor(tf.constant(['a', 'bc']))
io.serialize_tensor(tf.constant([[True], [False]]))
io.serialize_tensor(tf.constant(1.5, tf.float16))
io.serialize_tensor(tf.constant([1.5], tf.bfloat16))
io.serialize_tensor(tf.constant([1 + 2j], tf.complex64))
io.serialize_tensor(tf.constant([2**63], tf.uint64))
io.serialize_tensor(tf.zeros([0, 2]))
io.parse_tensor(io.serialize_tensor(tf.constant([1, 2])), tf.int32)
io.parse_tensor(io.serialize_tensor(tf.constant([1, 2])), tf.float32)
io.parse_tensor('garbage', tf.float32)
io.parse_tensor(b'', tf.float32)
io.parse_tensor(b'\x08\x01', tf.float32)
io.parse_tensor(['a'], tf.float32)
io.parse_tensor(b'\x08\x01\x12\x04\x12\x02\x08\x03*\x04\x00\x00\x80?', tf.float32)
io.parse_tensor(tf.make_tensor_proto([1.5, 2.5], tf.float16).SerializeToString(), tf.float16)
io.parse_tensor(tf.make_tensor_proto(1.5, tf.bfloat16).SerializeToString(), tf.bfloat16)
io.parse_tensor(tf.make_tensor_proto(1 + 2j, tf.complex128).SerializeToString(), tf.complex128)
tf.make_ndarray(tf.make_tensor_proto([1.5, 2.5]))
tf.make_ndarray(tf.make_tensor_proto([1, 2, 3], shape=[3]))
tf.make_ndarray(tf.make_tensor_proto(1, shape=[3]))
tf.make_tensor_proto([1.5, 2.5]).SerializeToString()
tf.make_tensor_proto(1.5).SerializeToString()
tf.make_tensor_proto([1, 2]).SerializeToString()
tf.make_tensor_proto(['a', 'b']).SerializeToString()
io.serialize_sparse(tf.sparse.from_dense([0, 7]))
io.serialize_many_sparse(tf.sparse.from_dense([[0, 7], [8, 0]]))
io.deserialize_many_sparse(io.serialize_many_sparse(tf.sparse.from_dense([[0, 7], [8, 0]])), tf.int32)
io.decode_compressed(zlib.compress(b'abc'), 'ZLIB')
io.decode_compressed([gzip.compress(b'abc')], 'GZIP')
io.decode_compressed(b'abc', '')
io.decode_compressed(b'abc', 'ZLIB')
io.decode_compressed(b'abc', 'XX')
one(io.decode_json_example('{"features": {"feature": {"a": {"int64List": {"value": ["7"]}}}}}'), {'a': F([], tf.int64)})
io.decode_json_example('{')
"""

FILES = """
io.read_file('{folder}/a.txt')
io.read_file('{folder}/none')
io.read_file('{folder}')
io.read_file(['{folder}/a.txt'])
io.write_file('{folder}/new/sub/w.txt', 'hi')
io.read_file('{folder}/new/sub/w.txt')
io.write_file('{folder}', 'hi')
io.write_file('{folder}/x', 3)
io.matching_files('{folder}/*')
io.matching_files(['{folder}/*.txt', '{folder}/*.bin'])
io.matching_files('{folder}/nothing*')
io.matching_files('{folder}/?.txt')
io.matching_files('{folder}/[a-b].*')
io.gfile.exists('{folder}')
io.gfile.exists('{folder}/zzz')
sorted(io.gfile.listdir('{folder}'))
io.gfile.listdir('{folder}/zzz')
io.gfile.listdir('{folder}/a.txt')
sorted(io.gfile.glob('{folder}/*'))
sorted(io.gfile.glob(['{folder}/*.txt', '{folder}/*.bin']))
io.gfile.isdir('{folder}')
io.gfile.isdir('{folder}/a.txt')
io.gfile.mkdir('{folder}/m')
io.gfile.mkdir('{folder}/m')
io.gfile.mkdir('{folder}/q/r')
io.gfile.makedirs('{folder}/m/n/o')
io.gfile.makedirs('{folder}/m/n/o')
io.gfile.makedirs('{folder}/a.txt')
io.gfile.copy('{folder}/a.txt', '{folder}/c.txt')
io.gfile.copy('{folder}/a.txt', '{folder}/c.txt')
io.gfile.copy('{folder}/a.txt', '{folder}/c.txt', overwrite=True)
io.gfile.copy('{folder}/zz', '{folder}/c2.txt')
io.gfile.rename('{folder}/c.txt', '{folder}/e.txt')
io.gfile.rename('{folder}/a.txt', '{folder}/e.txt')
io.gfile.rename('{folder}/zz', '{folder}/ee.txt')
io.gfile.stat('{folder}/a.txt').length
io.gfile.stat('{folder}').is_directory
io.gfile.stat('{folder}/zz')
sorted((sorted(b), sorted(c)) for a, b, c in io.gfile.walk('{folder}'))
list(io.gfile.walk('{folder}/zz'))
io.gfile.remove('{folder}/e.txt')
io.gfile.remove('{folder}/e.txt')
io.gfile.remove('{folder}/m')
io.gfile.rmtree('{folder}/m')
io.gfile.rmtree('{folder}/m')
io.gfile.join('a', 'b', 'c')
io.gfile.join('a', '/b')
io.gfile.GFile('{folder}/a.txt').read()
io.gfile.GFile('{folder}/a.txt').size()
io.gfile.GFile('{folder}/a.txt').readline()
io.gfile.GFile('{folder}/a.txt').readlines()
list(io.gfile.GFile('{folder}/a.txt'))
io.gfile.GFile('{folder}/b.bin', 'rb').read()
io.gfile.GFile('{folder}/b.bin', 'r').read()
io.gfile.GFile('{folder}/a.txt').read(3)
io.gfile.GFile('{folder}/none').read()
io.gfile.GFile('{folder}/none', 'zz').read()
io.gfile.GFile('{folder}/a.txt').write('x')
io.gfile.GFile('{folder}/w.txt', 'w').read()
io.gfile.GFile('{folder}/a.txt').mode
io.gfile.GFile('{folder}/a.txt').seek(offset=20)
io.gfile.GFile('{folder}/a.txt').seek(2, 5)
io.gfile.exists('gs2://x/y')
io.TFRecordOptions('XX')
io.TFRecordWriter('{folder}/none/x')
io.TFRecordWriter('{folder}/y', 'XX')
io.TFRecordWriter('{folder}/y').write('a')
io.TFRecordWriter('{folder}/y').write(3)
"""

IMAGES = """
im.decode_jpeg(J, dct_method='INTEGER_ACCURATE')
im.decode_jpeg(J, fancy_upscaling=False)
im.decode_jpeg(J444)
im.decode_jpeg(J444, dct_method='INTEGER_ACCURATE')
im.decode_jpeg(JG)
im.decode_jpeg(JG, channels=3)
im.decode_jpeg(J, channels=1)
im.decode_jpeg(J, channels=1, dct_method='INTEGER_ACCURATE')
im.decode_jpeg(J, channels=2)
im.decode_jpeg(J, channels=4)
im.decode_jpeg(J, ratio=2, dct_method='INTEGER_ACCURATE')
im.decode_jpeg(J444, ratio=8)
im.decode_jpeg(J, ratio=3)
im.decode_jpeg(J, dct_method='X')
im.decode_jpeg(J[:300])
im.decode_jpeg(b'')
im.decode_jpeg(b'xx')
im.decode_jpeg([J])
im.decode_jpeg(P)
im.decode_jpeg(G)
im.decode_jpeg(JC, dct_method='INTEGER_ACCURATE')
im.decode_png(P)
im.decode_png(P, channels=1)
im.decode_png(P, channels=4)
im.decode_png(P, channels=2)
im.decode_png(PG)
im.decode_png(PG, channels=3)
im.decode_png(PA)
im.decode_png(PA, channels=3)
im.decode_png(PLA)
im.decode_png(PLA, channels=1)
im.decode_png(PP)
im.decode_png(PP, channels=1)
im.decode_png(P1)
im.decode_png(P16)
im.decode_png(P16, dtype=tf.uint16)
im.decode_png(P, dtype=tf.uint16)
im.decode_png(P, dtype=tf.float32)
im.decode_png(J444)
im.decode_png(G)
im.decode_png(GA)
im.decode_png(B)
im.decode_png(P[:100])
im.decode_png(P[:-12])
im.decode_png(b'')
im.decode_png(b'abc')
im.decode_png([P])
im.decode_gif(G)
im.decode_gif(GA)
im.decode_gif(P)
im.decode_gif(b'GIF89a')
im.decode_bmp(B)
im.decode_bmp(B, channels=1)
im.decode_bmp(B, channels=4)
im.decode_bmp(BG)
im.decode_bmp(B[:60])
im.decode_bmp(P)
im.decode_webp(W)
im.decode_webp(W, channels=4)
im.decode_webp(W[:50])
im.decode_image(J444)
im.decode_image(P)
im.decode_image(PA)
im.decode_image(B)
im.decode_image(G)
im.decode_image(GA)
im.decode_image(GA, expand_animations=False)
im.decode_image(W)
im.decode_image(P, dtype=tf.float32)
im.decode_image(P16, dtype=tf.float32)
im.decode_image(J444, dtype=tf.float32)
im.decode_image(P, dtype=tf.uint16)
im.decode_image(J444, dtype=tf.uint16)
im.decode_image(B, dtype=tf.float16)
im.decode_image(GA, dtype=tf.int32)
im.decode_image(P, channels=4)
im.decode_image(J, channels=4)
im.decode_image(G, channels=1)
im.decode_image(B, channels=4)
im.decode_image(b'')
im.decode_image(b'abc')
im.decode_image([P])
im.is_jpeg(J)
im.is_jpeg(P)
im.extract_jpeg_shape(J)
im.extract_jpeg_shape(JG)
im.extract_jpeg_shape(J, tf.int64)
im.extract_jpeg_shape(P)
im.extract_jpeg_shape(J[:50])
im.decode_and_crop_jpeg(J444, [2, 3, 8, 9], dct_method='INTEGER_ACCURATE')
im.decode_and_crop_jpeg(J, [2, 3, 80, 9])
im.decode_and_crop_jpeg(J, [2, 3, 8])
im.decode_and_crop_jpeg(J, [2, 3, 0, 9])
im.decode_and_crop_jpeg(J, [-2, 3, 5, 9])
im.decode_jpeg(im.encode_jpeg(A), dct_method='INTEGER_ACCURATE')
im.decode_jpeg(im.encode_jpeg(A, quality=50), dct_method='INTEGER_ACCURATE')
im.decode_jpeg(im.encode_jpeg(A, chroma_downsampling=False), dct_method='INTEGER_ACCURATE')
im.decode_jpeg(im.encode_jpeg(A, progressive=True, optimize_size=True), dct_method='INTEGER_ACCURATE')
im.decode_jpeg(im.encode_jpeg(A[..., :1]), dct_method='INTEGER_ACCURATE')
im.encode_jpeg(A, format='grayscale')
im.encode_jpeg(A, format='x')
im.encode_jpeg(A, quality=101)
im.encode_jpeg(A[..., :2])
im.encode_jpeg(A[0])
im.encode_jpeg(A, density_unit='q')
im.decode_png(im.encode_png(A))
im.decode_png(im.encode_png(A.astype(np.uint16) * 257), dtype=tf.uint16)
im.encode_png(A, compression=10)
im.encode_png(A.astype(np.float32))
im.adjust_jpeg_quality(A, 75, dct_method='INTEGER_ACCURATE')
"""

# Calls whose pixels are near TensorFlow's but not the same: its fast method with fancy upscaling is not to be had here.
NEAR = """
im.decode_jpeg(J)
im.decode_jpeg(J, dct_method='INTEGER_FAST')
im.decode_jpeg(J, ratio=2)
im.decode_and_crop_jpeg(J, [2, 3, 8, 9])
im.adjust_jpeg_quality(A, 50)
"""


def lines(text):
    """The calls of a table."""
    return text.strip().splitlines()


def prepare(folder):
    """Fill the folder on which the calls of `FILES` work."""
    (folder / "a.txt").write_text("hello\nworld")
    (folder / "b.bin").write_bytes(b"\x00\xff")


def picture():
    """A small image of all kinds of edges, uint8 [20, 30, 3]."""
    noise = np.random.RandomState(0)
    y, x = np.mgrid[:20, :30]
    planes = [(x * (k + 2) * 3 + y * (k + 1) * 2 + noise.randint(0, 9, (20, 30))) % 256 for k in range(3)]
    return np.stack(planes, -1).astype(np.uint8)


def names(tf, files):
    """What the calls may name."""
    import gzip
    import zlib

    T = tf.train

    def ex(**features):
        made = {}
        for key, values in features.items():
            if not values:
                made[key] = T.Feature()
            elif isinstance(values[0], bytes):
                made[key] = T.Feature(bytes_list=T.BytesList(value=values))
            elif isinstance(values[0], int):
                made[key] = T.Feature(int64_list=T.Int64List(value=values))
            else:
                made[key] = T.Feature(float_list=T.FloatList(value=values))
        return T.Example(features=T.Features(feature=made)).SerializeToString()

    def seq(context, lists):
        example = T.SequenceExample()
        for key, values in context.items():
            example.context.feature[key].int64_list.value.extend(values)
        for key, steps in lists.items():
            for values in steps:
                example.feature_lists.feature_list[key].feature.add().int64_list.value.extend(values)
        return example.SerializeToString()

    space = {"tf": tf, "np": np, "io": tf.io, "im": tf.image, "ex": ex, "gzip": gzip, "zlib": zlib, "A": picture()}
    space |= {"F": tf.io.FixedLenFeature, "V": tf.io.VarLenFeature, "S": tf.io.SparseFeature, "R": tf.io.RaggedFeature}
    space |= {"Q": tf.io.FixedLenSequenceFeature, "one": tf.io.parse_single_example, "many": tf.io.parse_example}
    space |= {"oneS": tf.io.parse_single_sequence_example, "manyS": tf.io.parse_sequence_example}
    space |= {"a": ex(i=[1, 2, 3], f=[0.5, 1.5], b=[b"x", b"yz"], e=[]), "b": ex(i=[4], b=[b"q"])}
    space |= {"s1": seq({"c": [7]}, {"l": [[1], [2, 3]], "d": [[1, 2], [3, 4]]}), "s2": seq({"c": [8]}, {"l": [[5]]})}
    return space | files


def outcome(tf, call, space):
    """What a call gives, or the class of its exception, as text."""
    try:
        return described(tf, eval(call, space))
    except Exception as error:
        return type(error).__name__


def described(tf, value):
    """A result as text: dtype, shape and elements (of an image their hash)."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {described(tf, value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join([described(tf, item) for item in value]) + ")"
    if isinstance(value, tf.sparse.SparseTensor):
        parts = [part.numpy().tolist() for part in (value.indices, value.values, value.dense_shape)]
        return f"sparse {value.dtype.name} {parts}"
    if isinstance(value, tf.RaggedTensor):
        return f"ragged {value.dtype.name} {value.row_splits.dtype.name} {value.shape} {value.to_list()}"
    if isinstance(value, tf.Tensor):
        array = np.asarray(value.numpy())
        if array.ndim > 2 and array.size > 100:
            return f"{value.dtype.name}{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
        return f"{value.dtype.name}{array.shape} {array.tolist()}"
    return repr(value)
