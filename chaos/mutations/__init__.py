"""The harness must be able to fail: each of these breaks one promise on purpose, and something named must turn red.

    python -m chaos.mutations            # a table of what caught what; exit status 1 if something did not
    python -m chaos.mutations --deep     # also by the ledger's state machine and its two-connection scripts

An app like any other (EXTRA_APPS=chaos.mutations): as its processes start it breaks what MUTATION names. The system
has no hooks for it. `breaking.py` breaks, `stage.py` is a small system to play on, `schedules.py` are the plays: each
makes happen, step by step, what random runs hit too rarely. Every play must be green where nothing is broken.

MUTATION         what is broken; empty: nothing
MUTATION_LEASE   seconds of a worker's lease, with a heartbeat four times as often: so that a play need not wait
"""
