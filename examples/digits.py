"""Trains the model of `listings/7_mnist.py` on MNIST, shows how it goes, and draws what it has learnt to digits.png."""

import importlib
import math
import os

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from rich.progress import BarColumn, Progress, TimeElapsedColumn

tf = importlib.import_module(os.environ.get("IMPL", "tapeflow"))
EPOCHS, BATCH = int(os.environ.get("EPOCHS", 5)), 32
ROWS, COLUMNS = 5, 9  # the grid of digits.png; its last row shows mistakes
TRAIN, TEST, MISTAKE, QUIET = "#8aa4c8", "#1f4e9c", "#c8102e", "#6b6b6b"

model = tf.keras.Sequential(
    [
        tf.keras.layers.Input((28, 28)),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(128, activation="relu"),
        tf.keras.layers.Dense(10),
    ]
)
optimizer = tf.keras.optimizers.Adam(learning_rate=0.001)
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train_step(images, labels):
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss_value = loss_fn(labels, logits)
    grads = tape.gradient(loss_value, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
    return loss_value, logits


def train_epoch(dataset, progress, task):
    """One pass over the training set; returns its mean loss and accuracy, taken as the model learns."""
    losses, hits = [], []
    for step, (images, labels) in enumerate(dataset, start=1):
        loss_value, logits = train_step(images, labels)
        losses.append(loss_value.numpy())
        hits.append(np.mean(logits.numpy().argmax(axis=1) == labels.numpy()))
        if step % 25 == 0:  # drawing the bar at every step would take longer than the step
            progress.update(task, completed=step, train=score(np.mean(losses), np.mean(hits)))
    progress.update(task, completed=step, train=score(np.mean(losses), np.mean(hits)))
    return np.mean(losses), np.mean(hits)


def score(loss, accuracy):
    return f"{loss:.4f} {accuracy:.2%}"


def evaluate(dataset):
    """The mean loss and accuracy over a data set, and the digit read in each image."""
    loss, accuracy, digits = tf.keras.metrics.Mean(), tf.keras.metrics.SparseCategoricalAccuracy(), []
    for images, labels in dataset:
        logits = model(images, training=False)
        loss(loss_fn(labels, logits))
        accuracy(labels, logits)
        digits.extend(logits.numpy().argmax(axis=1))
    return float(loss.result()), float(accuracy.result()), np.array(digits)


def draw_history(figure, history):
    """Two charts over the epochs: the loss above, the accuracy below."""
    epochs = range(1, len(history) + 1)
    train_loss, train_accuracy, test_loss, test_accuracy = zip(*history, strict=True)
    place = {"left": 0.12, "right": 0.86, "bottom": 0.09, "top": 0.92, "hspace": 0.25}
    charts = figure.subplots(2, 1, sharex=True, gridspec_kw=place)
    rows = (("Loss", train_loss, test_loss, "{:.4f}"), ("Accuracy", train_accuracy, test_accuracy, "{:.2%}"))
    for chart, (title, train, test, form) in zip(charts, rows, strict=True):
        chart.set_title(title, loc="left", fontsize=12, fontweight="bold")
        chart.plot(epochs, train, color=TRAIN, marker="o", markersize=4, linewidth=2, label="train (while learning)")
        chart.plot(epochs, test, color=TEST, marker="o", markersize=4, linewidth=2, label="test")
        chart.annotate(
            form.format(test[-1]),
            (epochs[-1], test[-1]),
            color=TEST,
            va="center",
            xytext=(8, 0),
            textcoords="offset points",
            annotation_clip=False,
        )
        chart.spines[["top", "right"]].set_visible(False)
        chart.grid(axis="y", color="#e4e4e4")
        chart.set_axisbelow(True)
    charts[0].legend(frameon=False)
    charts[1].set_xlabel("epoch")
    charts[1].set_xticks(epochs)
    charts[1].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))


def draw_digits(figure, images, labels, digits):
    """A grid of test images under the digit read in each: the first right ones, then a row of the first mistakes."""
    wrong = np.flatnonzero(digits != labels)[:COLUMNS]
    right = np.flatnonzero(digits == labels)[: ROWS * COLUMNS - len(wrong)]
    mistakes = np.count_nonzero(digits != labels)
    title = f"Predictions: the first {len(right)} right, and the first {len(wrong)} of {mistakes} wrong (red)"
    figure.suptitle(title, x=0.02, y=0.975, ha="left", fontsize=12, fontweight="bold")
    place = {"left": 0.02, "right": 0.98, "bottom": 0.02, "top": 0.89, "hspace": 0.4, "wspace": 0.1}
    cells = figure.subplots(ROWS, COLUMNS, gridspec_kw=place)
    for cell, index in zip(cells.flat, [*right, *wrong], strict=True):
        mistaken = digits[index] != labels[index]
        cell.imshow(images[index], cmap="gray_r")
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set(color=MISTAKE if mistaken else "#d0d0d0", linewidth=2 if mistaken else 0.8)
        cell.set_title(
            f"{digits[index]}, is {labels[index]}" if mistaken else f"{digits[index]}",
            fontsize=10,
            pad=3,
            color=MISTAKE if mistaken else QUIET,
            fontweight="bold" if mistaken else "normal",
        )


def draw(path, history, images, labels, digits):
    figure = Figure(figsize=(14, 6), facecolor="white")  # without pyplot no window system is asked for
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.6])
    draw_history(left, history)
    draw_digits(right, images, labels, digits)
    figure.savefig(path, dpi=110)


def main():
    (train_images, train_labels), (test_images, test_labels) = tf.keras.datasets.mnist.load_data()
    train = tf.data.Dataset.from_tensor_slices((train_images / 255.0, train_labels)).shuffle(10000).batch(BATCH)
    test = tf.data.Dataset.from_tensor_slices((test_images / 255.0, test_labels)).batch(1000)
    history, steps = [], math.ceil(len(train_images) / BATCH)
    columns = [BarColumn(bar_width=12), TimeElapsedColumn(), "train {task.fields[train]}", "test {task.fields[test]}"]
    with Progress("{task.description}", *columns) as progress:
        for epoch in range(EPOCHS):
            task = progress.add_task(f"Epoch {epoch + 1}/{EPOCHS}", total=steps, train="", test="")
            trained = train_epoch(train, progress, task)
            test_loss, test_accuracy, digits = evaluate(test)
            history.append((*trained, test_loss, test_accuracy))
            progress.update(task, test=score(test_loss, test_accuracy))
    model.save("digits.keras")
    draw("digits.png", history, test_images, test_labels, digits)
    print("The model is in digits.keras, the picture in digits.png.")
    print(f"Test Loss: {test_loss:.4f}, Accuracy: {test_accuracy:.4f}")


if __name__ == "__main__":
    main()
