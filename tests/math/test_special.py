"""The special functions against values computed with 40 digits, against SciPy where it is there, and at their edges."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.primitive import P

Invalid = tf.errors.InvalidArgumentError

inf, nan = np.inf, np.nan

# tf.math.<name> at float64 arguments, from mpmath.
ONE = {
    "erf": {0.1: 0.1124629160182849, 0.7: 0.67780119383741844, 2.0: 0.99532226501895273, -5.0: -0.99999999999846254},
    "erfc": {
        0.1: 0.8875370839817151,
        0.7: 0.32219880616258156,
        2.0: 4.6777349810472658e-3,
        6.0: 2.1519736712498913e-17,
        25.0: 8.3001725711965228e-274,
        -3.0: 1.9999779095030014,
    },
    "erfinv": {0.1: 0.088855990494257692, -0.7: -0.73286907795921678, 0.999: 2.3267537655135245},
    "lgamma": {
        1e-05: 11.512919692895826,
        0.3: 1.0957979948180756,
        1.0001: -5.7713342220471268e-5,
        2.5: 0.28468287047291916,
        9.7: 12.131084710789179,
        123.4: 469.33609744219059,
        -1.3: 1.2024757863901113,
    },
    "digamma": {
        1e-05: -1.0000057719921567e5,
        0.3: -3.5025242222001331,
        1.9: 0.35618416116405966,
        12.0: 2.442661679975812,
        -1.3: 2.8825405488661673,
    },
    "special.bessel_i0": {
        0.3: 1.022626879351597,
        7.0: 168.5939085102897,
        24.0: 2.1686190882413765e9,
        31.0: 2.0899629664919038e12,
    },
    "special.bessel_i1e": {
        0.3: 0.1123775606398388,
        7.0: 0.14228923470959867,
        24.0: 0.080144139276534738,
        310.0: 0.022630961871260066,
    },
    "special.bessel_i0e": {0.3: 0.75758062518254786, 7.0: 0.15373774467288125, 310.0: 0.022667552018954793},
    "special.bessel_i1": {0.3: 0.15169384000359277, 7.0: 156.03909286995545, 31.0: 2.0559727952945647e12},
    "special.bessel_j0": {
        0.3: 0.97762624653829609,
        1.9: 0.28181855937438552,
        7.3: 0.2882169476350144,
        24.0: -0.056230274166859267,
        111.0: -0.073230081278947863,
    },
    "special.bessel_j1": {
        0.3: 0.148318816273104,
        1.9: 0.58115707271343407,
        7.3: 0.082570430493257831,
        24.0: -0.15403806518312122,
        111.0: -0.019633170214222965,
    },
    "special.bessel_y0": {
        0.3: -0.80727357780451949,
        1.9: 0.49681997128382019,
        7.3: 0.062773886374037598,
        24.0: -0.15283402879758778,
        111.0: -0.019303115863923823,
    },
    "special.bessel_y1": {
        0.3: -2.2931051383885291,
        1.9: -0.16440577233159531,
        7.3: -0.28459437186807211,
        24.0: 0.053059776121202169,
        111.0: 0.073143874915940532,
    },
    "special.bessel_k0": {
        0.3: 1.3724600605442974,
        1.9: 0.12884597927604749,
        24.0: 9.6088187808331157e-12,
        31.0: 7.7183826555276154e-15,
    },
    "special.bessel_k1": {
        0.3: 3.0559920334573251,
        1.9: 0.15966015303266763,
        24.0: 9.8069989304411444e-12,
        31.0: 7.8418996008340634e-15,
    },
    "special.bessel_k0e": {0.3: 1.8526273007720143, 7.0: 0.46584509609301589, 310.0: 0.071154808531755596},
    "special.bessel_k1e": {0.3: 4.1251577622444698, 7.0: 0.49807157509547654, 310.0: 0.071269482095950797},
    "special.dawsn": {0.3: 0.28263166502131192, 3.0: 0.17827103061055829, 15.0: 0.033407906808639226},
    "special.expint": {0.1: -1.6228128139692766, 3.0: 9.9338325706254166, 45.0: 7.9439160357044538e17},
    "special.fresnel_cos": {0.3: 0.2994009760520472, 1.7: 0.32382687600390026, 30.2: 0.50065814444780383},
    "special.fresnel_sin": {0.3: 0.014116998006576584, 1.7: 0.54919594032156854, 30.2: 0.48948050881402553},
    "special.spence": {0.1: 1.2997147230049587, 0.8: 0.21100377543970472, 7.0: -3.0899420510880316},
    "ndtri": {0.02: -2.053748910631823, 0.7: 0.52440051270804066, 1e-10: -6.3613409024040562},
    "erfcinv": {0.3: 0.73286907795921687, 1.6: -0.59511608144999496, 1e-10: 4.5728249673894853},
}
MORE = {
    "zeta": {(2.0, 1.0): 1.6449340668482264, (1.5, 0.2): 13.459632324391384, (7.0, 30.0): 2.5237396404386441e-10},
    "polygamma": {(1.0, 2.5): 0.49035775610023486, (3.0, 0.1): 60004.512876790253, (10.0, 3.0): -21.436606628712991},
    "igamma": {
        (0.5, 0.3): 0.56142197391900014, (10.0, 12.0): 0.75760783832948765, (100.0, 95.0): 0.3173568111698,
        (20000.0, 20100.0): 0.76061670556141765, (3.0, 1e-05): 1.6666541667166669e-16,
    },
    "igammac": {
        (0.5, 0.3): 0.43857802608099986, (10.0, 12.0): 0.24239216167051235, (100.0, 130.0): 2.7504083673065263e-3,
        (20000.0, 20100.0): 0.23938329443858235, (1e-10, 1.0): 2.1938393441796779e-11,
        (0.001, 1e-08): 0.017686020646153065,
    },
    "betainc": {
        (0.5, 0.5, 0.2): 0.29516723530086656, (2.0, 3.0, 0.7): 0.9163, (100.0, 200.0, 0.35): 0.73257146495754407,
        (1e-3, 5.0, 1e-5): 0.9906139827379966, (30.0, 0.2, 0.99): 0.18453210502353707,
    },
}  # fmt: skip


def public(name):
    function = tf.math
    for part in name.split("."):
        function = getattr(function, part)
    return function


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("copies", [1, 100])  # few elements may take another way than many
def test_one_argument(name, copies):
    x, expected = [np.repeat(list(values), copies) for values in (ONE[name], ONE[name].values())]
    np.testing.assert_allclose(public(name)(x), expected, rtol=1e-14)


@pytest.mark.parametrize("name", MORE)
def test_more_arguments(name):
    *arguments, expected = np.array([(*key, value) for key, value in MORE[name].items()]).T
    np.testing.assert_allclose(public(name)(*arguments), expected, rtol=3e-14)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype", [tf.float32, tf.float16, tf.bfloat16], ids=lambda dtype: dtype.name)
def test_narrow_dtypes_round_the_wide_result(name, dtype):
    x = tf.cast(np.repeat([value for value in ONE[name] if 1e-4 < abs(value) < 30], 40), dtype)
    out = public(name)(x)
    assert out.dtype is dtype
    wide = public(name)(tf.cast(x, tf.float64))
    rounding = {"float32": 1.3e-7, "float16": 5e-4, "bfloat16": 4e-3}[dtype.name]
    limit = {"float32": 1e38, "float16": 65000, "bfloat16": 1e38}[dtype.name]
    kept = (np.abs(wide) < limit) & (np.abs(wide) > 1e-6)
    np.testing.assert_allclose(tf.cast(out, tf.float64).numpy()[kept], wide.numpy()[kept], rtol=rounding)


def test_erf_of_many_float32():
    """The formula for float32 is within one unit in the last place of the one for float64."""
    x = np.linspace(-6, 6, 20001, dtype=np.float32)
    exact = tf.math.erf(x.astype(np.float64)).numpy()
    assert np.max(np.abs(tf.math.erf(x).numpy() - exact) / np.spacing(np.abs(exact).astype(np.float32))) <= 1


# Facts of TensorFlow's float64 kernels, where it has no defect.
EDGES = {
    "erfc": ([0.0, 30.0, -30.0, inf, -inf, nan], [1.0, 0.0, 2.0, 0.0, 2.0, nan]),
    "erfinv": ([0.0, 1.0, -1.0, 1.1, nan], [0.0, inf, -inf, nan, nan]),
    "erfcinv": ([0.0, 1.0, 2.0, 2.1, -1.0], [inf, 0.0, -inf, nan, nan]),
    "ndtri": ([0.0, 0.5, 1.0, 1.1, -1.0], [-inf, 0.0, inf, nan, nan]),
    "lgamma": ([0.0, 1.0, 2.0, -1.0, -2.0, inf, -inf, nan], [inf, 0.0, 0.0, inf, inf, inf, inf, nan]),
    "digamma": ([0.0, -1.0, inf, -inf, nan], [nan, nan, inf, nan, nan]),
    "special.bessel_i0e": ([0.0, inf, -inf, nan], [1.0, 0.0, 0.0, nan]),
    "special.bessel_j0": ([0.0, inf, nan], [1.0, nan, nan]),
    "special.bessel_j1": ([0.0, inf, nan], [0.0, nan, nan]),
    "special.bessel_k0": ([0.0, -1.0, 800.0, inf, nan], [inf, inf, 0.0, 0.0, nan]),
    "special.bessel_k1e": ([0.0, -1.0, inf, nan], [inf, inf, 0.0, nan]),
    "special.bessel_y0": ([0.0, -1.0, inf, nan], [-inf, -inf, nan, nan]),
    "special.dawsn": ([0.0, inf, -inf, nan], [0.0, 0.0, 0.0, nan]),
    "special.expint": ([0.0, -1.0, 1e5, nan], [-inf, nan, inf, nan]),
    "special.fresnel_cos": ([0.0, inf, -inf, nan], [0.0, 0.5, -0.5, nan]),
    "special.fresnel_sin": ([0.0, inf, -inf, nan], [0.0, 0.5, -0.5, nan]),
    "special.spence": ([0.0, 1.0, -1.0, nan], [np.pi**2 / 6, 0.0, nan, nan]),
}


@pytest.mark.parametrize("name", EDGES)
@pytest.mark.parametrize("copies", [1, 100])
def test_edges(name, copies):
    x, expected = [np.repeat(values, copies) for values in EDGES[name]]
    np.testing.assert_array_equal(public(name)(x), expected)


def test_edges_of_several_arguments():
    def row(function, *arguments):
        return function(*np.array(arguments)).numpy().tolist()

    np.testing.assert_allclose(
        row(tf.math.zeta, [1.0, 0.5, 2, 2, 3, inf, 2, -1], [1.0, 2, 0, -1, -0.5, 2, inf, 1]),
        [inf, nan, inf, inf, 0.41439832211716, 0, 0, nan],
    )
    np.testing.assert_array_equal(
        row(tf.math.polygamma, [1.0, 1, 1, 0.5, -1], [0.0, -1, inf, 1, 1]), [inf, inf, 0, nan, nan]
    )
    np.testing.assert_array_equal(
        row(tf.math.igamma, [0.0, 1, 1, -1, 1, inf], [1.0, 0, -1, 1, inf, 1]), [nan, 0, nan, nan, 1, 0]
    )
    np.testing.assert_array_equal(
        row(tf.math.igammac, [0.0, 1, 1, -1, 1, inf], [1.0, 0, -1, 1, inf, 1]), [nan, 1, nan, nan, 0, 1]
    )
    np.testing.assert_array_equal(
        row(tf.math.betainc, [0.0, 1, -1, 1, 2, 3], [1.0, 0, 1, 1, 3, 4], [0.5, 0.5, 0.5, -0.1, 1, 0]), [nan] * 4 + [1, 0]
    )


def test_inverses():
    p = np.linspace(0.001, 0.999, 99)
    np.testing.assert_allclose(tf.math.erf(tf.math.erfinv(p)), p, rtol=1e-14)
    np.testing.assert_allclose(tf.math.erfc(tf.math.erfcinv(2 * p)), 2 * p, rtol=2e-14)
    np.testing.assert_allclose(tf.math.erfc(-tf.math.ndtri(p) / np.sqrt(2)) / 2, p, rtol=2e-14)


def test_derivatives_in_the_order():
    """dP/da from mpmath, and of a gamma sample by its definition."""
    a, x = np.array([[0.5, 0.3], [1.0, 2.0], [10.0, 12.0], [100.0, 95.0]]).T
    expected = [-0.77057035137535192, -0.22082542621185951, -0.097177972037179651, -0.035991134792831112]
    slope = P.igamma_grad_a(tf.constant(a), tf.constant(x))
    np.testing.assert_allclose(slope, expected, rtol=1e-13)
    density = np.exp((a - 1) * np.log(x) - x - tf.math.lgamma(a).numpy())
    np.testing.assert_allclose(P.random_gamma_grad(tf.constant(a), tf.constant(x)), -slope.numpy() / density, rtol=1e-12)


def test_large_shapes_settle():
    a = np.array([1e3, 9e3, 1.1e4, 1e8, 1e12])
    np.testing.assert_allclose(tf.math.igamma(a, a), 0.5 + 1 / (3 * np.sqrt(2 * np.pi * a)), rtol=1e-5)
    np.testing.assert_allclose(tf.math.betainc(a, a, 0.5), 0.5, rtol=1e-9)


def test_gradients_at_the_edges():
    """Facts of TensorFlow; where it has nan or a wrong value, the limit."""

    def slope(function, *values):
        x = tf.constant(values, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x).numpy().tolist()

    assert slope(tf.math.erfinv, 1.0) == [inf]
    assert slope(tf.math.ndtri, 0.0) == [inf]
    assert slope(tf.math.special.spence, 0.0, 1.0) == [-inf, -1.0]
    assert slope(tf.math.special.bessel_i1, 0.0) == [0.5]
    assert slope(tf.math.special.bessel_i1e, 0.0) == [0.5]
    assert slope(tf.math.special.bessel_j1, 0.0) == [0.5]
    assert slope(tf.math.special.bessel_k0, 0.0) == [-inf]
    assert slope(lambda x: tf.math.lbeta(tf.stack([x, x], axis=-1)), 1.0) == pytest.approx([-2.0])


def test_errors():
    with pytest.raises(Invalid, match="int32 is not in the list of allowed values"):
        tf.math.lgamma(tf.constant([1, 2]))
    with pytest.raises(Invalid, match="half is not in the list of allowed values"):
        tf.math.zeta(tf.constant([1.0], tf.float16), 2.0)
    with pytest.raises(Invalid, match=r"Incompatible shapes: \[2\] vs\. \[3\]"):
        tf.math.igamma([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="Cannot convert 2"):
        tf.math.igamma(tf.constant(1), 2.5)


def test_against_scipy():
    special = pytest.importorskip("scipy.special")
    x = np.linspace(0.03, 30, 997)
    for name, theirs in [
        ("lgamma", "gammaln"),
        ("digamma", "digamma"),
        ("special.bessel_k0", "k0"),
        ("special.bessel_i0e", "i0e"),
    ]:
        np.testing.assert_allclose(public(name)(x), getattr(special, theirs)(x), rtol=2e-13, atol=1e-15)
    for name in ("j0", "j1", "y0", "y1"):
        np.testing.assert_allclose(public(f"special.bessel_{name}")(x), getattr(special, name)(x), rtol=1e-11, atol=1e-14)
    a = np.linspace(0.1, 40, 997)[::-1]
    np.testing.assert_allclose(tf.math.igamma(a, x), special.gammainc(a, x), rtol=1e-12)
    np.testing.assert_allclose(tf.math.betainc(a, x, x / 31), special.betainc(a, x, x / 31), rtol=1e-11)
