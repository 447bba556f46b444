"""Servers and processes that a test may stop, kill and restart: always its own, never the shared ones."""
