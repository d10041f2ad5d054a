"""Model and training step of examples/listings/7_mnist.py, for the rows that measure them."""


def parts(tf):
    """The listing's model, optimizer and loss."""
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Input((28, 28)),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(128, activation="relu"),
            tf.keras.layers.Dense(10),
        ]
    )
    optimizer = tf.keras.optimizers.Adam(learning_rate=0.001)
    return model, optimizer, tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train_step(tf, model, optimizer, loss_fn):
    """The listing's function of a batch."""

    def train_step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss_value = loss_fn(labels, logits)
        grads = tape.gradient(loss_value, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
        return loss_value

    return train_step
