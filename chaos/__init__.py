"""Faults from outside, with a recording upstream as the only witness. See chaos/README.md."""
