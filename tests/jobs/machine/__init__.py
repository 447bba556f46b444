"""The ledger under a virtual clock: what tests/jobs/test_state_machine.py drives.

clock       the database's time and the processes' time, moved by hand
upstream    the other side, in memory, which writes every call down; and the tasks that call it
workers     worker processes that claim, read, mark, call and finish step by step, and may die between any two steps
rules       which changes of a row are allowed, and what must hold after every step
"""
