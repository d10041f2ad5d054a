"""The training step of examples/listings/7_mnist.py in eager Keras: two dense layers, Adam, 32 images."""

from measure import best_microseconds
from row import Row

ROW = Row("eager Keras step, Adam", peer="tensorflow", faster=5, libraries=("tapeflow", "tensorflow"))


def tensorflow(tf):
    import numpy as np

    rng = np.random.default_rng(5)
    images, labels = tf.constant(rng.random((32, 28, 28))), tf.constant(rng.integers(0, 10, 32).astype(np.uint8))
    model = tf.keras.Sequential([
        tf.keras.layers.Input((28, 28)),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(128, activation="relu"),
        tf.keras.layers.Dense(10),
    ])
    optimizer = tf.keras.optimizers.Adam(learning_rate=0.001)
    loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def train_step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss_value = loss_fn(labels, logits)
        grads = tape.gradient(loss_value, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss_value

    first = float(train_step())
    assert min(float(train_step()) for _ in range(20)) < first
    return best_microseconds(train_step)
