"""What 100,000 persistent tapes leave behind when each is dropped without `del` and no collector runs."""

import gc

from measure import resident_megabytes
from row import Row

ROW = Row("100,000 dropped persistent tapes, growth", unit="MB", limit=5, median=True, libraries=("tapeflow",))


def tensorflow(tf):
    x = tf.Variable(2.0)

    def make_and_drop(tapes):
        for _ in range(tapes):
            with tf.GradientTape(persistent=True) as tape:
                y = x**2
                z = y**2
            tape.gradient(y, x)
            tape.gradient(z, x)

    make_and_drop(1_000)  # what is made once and for all
    gc.collect()
    gc.disable()
    before = resident_megabytes()
    make_and_drop(100_000)
    return resident_megabytes() - before
