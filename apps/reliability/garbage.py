"""Python's garbage collector in processes that live for weeks.

What was loaded at the start (Django, the tasks, the tables) stays for ever, so it is taken out of every later
collection; and as hundreds of messages in flight are not garbage, the young generations may grow larger before
they are looked through. Measured in docs/benchmarks.md.
"""

import gc

YOUNG = 20_000
"""New containers before the youngest are looked through; Python's own 700 means ten times a message."""
MIDDLE, OLD = 20, 50


def settle() -> None:
    """Call once, when everything is loaded and before the work begins."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
