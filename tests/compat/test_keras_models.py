"""The real Keras on tapeflow: models that are built, trained, saved and loaded, held against facts and NumPy's own steps."""

import importlib.util

import numpy as np
import pytest

import tapeflow as tf

if importlib.util.find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

from tapeflow.keras import layers

from tapeflow import keras

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(60, 5)).astype(np.float32)
Y = (X @ RANDOM.normal(size=(5, 1)) + 0.5).astype(np.float32)
LABELS = (Y[:, 0] > 0).astype(np.int32)


def small(outputs=1, activation=None, seed=1):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([layers.Input([5]), layers.Dense(7, "tanh"), layers.Dense(outputs, activation)])


def compiled(model=None, optimizer="adam", loss="mse", **options):
    model = model or small()
    model.compile(optimizer, loss, run_eagerly=True, **options)
    return model


def fit(model, x=X, y=Y, **options):
    return model.fit(x, y, **{"epochs": 3, "batch_size": 16, "verbose": 0, **options}).history


# Training


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion"])
def test_loss_falls(optimizer):
    model = compiled(optimizer=keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.01}}))
    history = fit(model, epochs=4)["loss"]
    assert len(history) == 4 and history[-1] < history[0]
    x = model.predict(X, verbose=0)
    assert np.isclose(model.evaluate(X, Y, verbose=0), np.mean((x - Y) ** 2), rtol=1e-5)


def test_one_step_of_sgd_is_numpys():
    model = compiled(keras.Sequential([layers.Input([5]), layers.Dense(1)]), keras.optimizers.SGD(0.1, momentum=0.9))
    w, b = model.get_weights()
    vw, vb = 0 * w, 0 * b
    for _ in range(3):
        error = X @ w + b - Y
        vw = 0.9 * vw - 0.1 * 2 * X.T @ error / len(X)
        vb = 0.9 * vb - 0.1 * 2 * error.mean(0)
        w, b = w + vw, b + vb
        model.train_on_batch(X, Y)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-5, atol=1e-6)


def test_steps_of_adam_are_numpys():
    v = keras.Variable([1.0, -2.0, 3.0])
    optimizer = keras.optimizers.Adam(0.1, epsilon=1e-7)
    value, m, s = np.array([1.0, -2.0, 3.0]), np.zeros(3), np.zeros(3)
    for t in range(1, 5):
        g = np.array([0.5, -1.0, 2.0]) * t
        optimizer.apply([tf.constant(g, tf.float32)], [v])
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        value = value - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(s) + 1e-7)
    np.testing.assert_allclose(v.numpy(), value, rtol=1e-5)


def test_weights_of_samples_and_classes():
    model = compiled(small(2, "softmax"), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    p = model.predict(X, verbose=0)[np.arange(len(X)), LABELS]
    weights = np.where(LABELS == 1, 3.0, 0.5).astype(np.float32)
    # Keras divides by the number of samples, not by the sum of the weights.
    expected = np.mean(-np.log(p) * weights)
    assert np.isclose(model.evaluate(X, LABELS, sample_weight=weights, verbose=0)[0], expected, rtol=1e-5)
    frozen = compiled(model, keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    for options in ({"sample_weight": weights}, {"class_weight": {0: 0.5, 1: 3.0}}):
        assert np.isclose(fit(frozen, y=LABELS, epochs=1, batch_size=60, **options)["loss"][0], expected, rtol=1e-5)


def test_validation_split_and_shuffling():
    model = compiled(metrics=["mae"])
    history = fit(model, validation_split=0.25, epochs=2)
    assert set(history) == {"loss", "mae", "val_loss", "val_mae"}
    # The last quarter is held back.
    x, y = X[45:], Y[45:]
    assert np.isclose(history["val_loss"][-1], np.mean((model.predict(x, verbose=0) - y) ** 2), rtol=1e-5)
    assert np.isclose(history["val_mae"][-1], np.mean(np.abs(model.predict(x, verbose=0) - y)), rtol=1e-5)
    again = [fit(compiled(small()), epochs=2)["loss"] for _ in range(2)]
    assert again[0] == again[1]  # set_random_seed fixes the order too


def test_datasets_and_generators():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(60, seed=1).batch(16)
    model = compiled()
    history = model.fit(dataset, epochs=3, validation_data=dataset.take(2), verbose=0).history
    assert history["loss"][-1] < history["loss"][0] and len(history["val_loss"]) == 3
    assert model.predict(dataset, verbose=0).shape == (60, 1)

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, i):
            return X[15 * i : 15 * i + 15], Y[15 * i : 15 * i + 15]

    assert np.isclose(model.evaluate(Batches(), verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-5)

    def forever():
        while True:
            yield X[:10], Y[:10]

    assert len(model.fit(forever(), steps_per_epoch=3, epochs=2, verbose=0).history["loss"]) == 2


# Kinds of models


def test_functional_model_with_two_branches():
    a, b = keras.Input([5], name="a"), keras.Input([2], name="b")
    hidden = layers.Concatenate()([layers.Dense(3, "relu")(a), b])
    model = keras.Model(
        {"a": a, "b": b}, {"sum": layers.Dense(1, name="sum")(hidden), "raw": layers.Dense(2, name="raw")(hidden)}
    )
    data = {"a": X, "b": X[:, :2]}
    target = {"sum": Y, "raw": X[:, 2:4]}
    model.compile("adam", {"sum": "mse", "raw": "mae"}, run_eagerly=True)
    history = model.fit(data, target, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    out = model.predict(data, verbose=0)
    assert out["sum"].shape == (60, 1) and out["raw"].shape == (60, 2)
    assert model.count_params() == 5 * 3 + 3 + 5 * 1 + 1 + 5 * 2 + 2


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, "relu")
        self.norm = layers.BatchNormalization()
        self.drop = layers.Dropout(0.5, seed=2)
        self.last = layers.Dense(1)

    def call(self, x, training=False):
        return self.last(self.drop(self.norm(self.first(x)), training=training))


def test_subclassed_model():
    model = compiled(Subclassed(), keras.optimizers.Adam(0.02))
    history = fit(model, epochs=5)["loss"]
    assert history[-1] < history[0]
    np.testing.assert_array_equal(model(X).numpy(), model(X).numpy())
    assert (model(X, training=True).numpy() != model(X).numpy()).any()
    first, last = model.first, model.last
    hidden = np.maximum(X @ first.kernel.numpy() + first.bias.numpy(), 0)
    norm = model.norm
    scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    hidden = (hidden - norm.moving_mean.numpy()) * scale + norm.beta.numpy()
    np.testing.assert_allclose(model(X), hidden @ last.kernel.numpy() + last.bias.numpy(), rtol=1e-4, atol=1e-5)


def test_custom_loop():
    model, optimizer = small(), keras.optimizers.SGD(0.05)
    losses = []
    for _ in range(10):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(X, training=True) - Y))
        gradients = tape.gradient(loss, model.trainable_variables)
        before = [v.numpy() for v in model.trainable_variables]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        for v, old, g in zip(model.trainable_variables, before, gradients, strict=True):
            np.testing.assert_allclose(v.numpy(), old - 0.05 * g.numpy(), rtol=1e-6, atol=1e-7)
        losses.append(float(loss))
    assert losses[-1] < losses[0] and int(optimizer.iterations) == 10


def test_train_step_of_ones_own():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x) - y) ** 2)
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"own": loss}

    history = fit(compiled(Own(), keras.optimizers.SGD(0.05)))
    assert list(history) == ["own"] and history["own"][-1] < history["own"][0]


def test_convolution_recurrence_embedding_attention():
    keras.utils.set_random_seed(1)
    images = RANDOM.normal(size=(12, 8, 8, 2)).astype(np.float32)
    words = RANDOM.integers(0, 11, (12, 6))
    image, text = keras.Input([8, 8, 2]), keras.Input([6], dtype="int32")
    seen = layers.GlobalAveragePooling2D()(layers.MaxPool2D()(layers.Conv2D(3, 3, padding="same", activation="relu")(image)))
    embedded = layers.Embedding(11, 4)(text)
    attended = layers.MultiHeadAttention(2, 3)(embedded, embedded)
    read = layers.concatenate([layers.LSTM(5)(attended), layers.GRU(3)(embedded)])
    model = compiled(
        keras.Model([image, text], layers.Dense(1)(layers.concatenate([seen, read]))), keras.optimizers.Adam(0.02)
    )
    history = fit(model, [images, words], RANDOM.normal(size=(12, 1)), epochs=4, batch_size=6)["loss"]
    assert history[-1] < history[0]


def test_convolutions_in_groups():
    keras.utils.set_random_seed(1)
    images = RANDOM.normal(size=(2, 6, 6, 4)).astype(np.float32)
    grouped = layers.Conv2D(6, 3, groups=2)
    out = grouped(images).numpy()
    kernel = grouped.kernel.numpy()  # [3, 3, 2, 6]
    for i in range(2):
        patch = images[:, 1:4, 2:5, 2 * i : 2 * i + 2]
        wanted = np.einsum("nhwc,hwcd->nd", patch, kernel[..., 3 * i : 3 * i + 3])
        np.testing.assert_allclose(out[:, 1, 2, 3 * i : 3 * i + 3], wanted, rtol=1e-4, atol=1e-5)


# Saving


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_saved_models_predict_the_same(tmp_path, suffix):
    model = compiled(metrics=["mae"])
    fit(model)
    path = str(tmp_path / f"model{suffix}")
    if suffix == ".keras":
        model.save(path)
        other = keras.models.load_model(path)
        assert int(other.optimizer.iterations) == int(model.optimizer.iterations) == 12
    else:
        model.save_weights(path)
        other = small(seed=2)
        other = compiled(other)
        assert (other.predict(X, verbose=0) != model.predict(X, verbose=0)).any()
        other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    assert fit(other, epochs=1)["loss"][0] > 0


def test_copies_and_configurations():
    model = small()
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(X), model(X))
    text = keras.models.model_from_json(model.to_json())
    assert [v.shape for v in text.variables] == [v.shape for v in model.variables]


# Callbacks


def test_callbacks(tmp_path):
    path = str(tmp_path / "best.keras")
    seen = []
    callbacks = [
        keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(path, monitor="loss", save_best_only=True),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"])),
        keras.callbacks.TerminateOnNaN(),
    ]
    model = compiled()
    history = fit(model, epochs=9, callbacks=callbacks)
    assert len(history["loss"]) == 2 and seen == history["loss"]  # nothing improves by 1e9
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05], rtol=1e-6)
    assert keras.models.load_model(path).count_params() == model.count_params()
    assert (tmp_path / "log.csv").read_text().count("\n") == 3


# Precision


def test_mixed_precision():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = compiled()
        assert model.layers[0].compute_dtype == "bfloat16" and model.layers[0].kernel.dtype == "float32"
        assert model(X).dtype is tf.bfloat16
        history = fit(model)["loss"]
        assert history[-1] < history[0]
    finally:
        keras.mixed_precision.set_global_policy(before)
    scaled = keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=2.0**10)
    history = fit(compiled(optimizer=scaled))["loss"]
    assert history[-1] < history[0]


# Metrics


def test_metrics_are_numpys():
    model = compiled(small(2, "softmax"), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    p = model.predict(X, verbose=0)
    found = model.evaluate(X, LABELS, verbose=0, return_dict=True)
    assert np.isclose(found["accuracy"], np.mean(p.argmax(1) == LABELS))
    assert np.isclose(found["loss"], -np.log(p[np.arange(60), LABELS]).mean(), rtol=1e-5)
    auc = keras.metrics.AUC(num_thresholds=2000)
    auc.update_state(LABELS, p[:, 1])
    higher = p[LABELS == 1, 1][:, None] > p[LABELS == 0, 1]
    assert np.isclose(float(auc.result()), higher.mean(), atol=2e-3)


def test_fit_without_run_eagerly():
    model = small()
    model.compile("sgd", "mse")
    if hasattr(tf, "function"):
        fit(model)
        return
    with pytest.raises(AttributeError, match="run_eagerly=True"):
        fit(model)
    model.run_eagerly = True
    assert len(fit(model)["loss"]) == 3
