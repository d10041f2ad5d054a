"""What the two halves of the thread pool agree on: the names of native functions, and where the pool's memory has what."""

LINE = 64  # bytes of a cache line: words that different threads write must not share one

# The pool's memory
BUSY = 0  # 1 while a step holds the pool
GENERATION = 64  # the number of phases so far; workers wait and sleep on it
SLEEPING = 128  # how many workers sleep, or are about to
FUNCTION, TABLE, TILES, THREADS = 192, 200, 208, 216  # the phase
DONE = 256  # its finished tiles
STOP, LIVE = 320, 324
SHARES = 384  # a line for each thread: its ticket, and the address of its scratch memory
SCRATCH = 8

NAMES = ("tapeflow_begin", "tapeflow_run", "tapeflow_end", "tapeflow_worker", "tapeflow_stop")
ALLOCATOR = ("tapeflow_malloc", "tapeflow_calloc", "tapeflow_realloc", "tapeflow_free")  # what NumPy calls for memory
CURRENT = "tapeflow_pool"  # a pointer to the pool's memory, or null
