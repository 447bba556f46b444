"""An app with tasks for the quarantine: they run in a real child process.

EXTRA_APPS=tests.jobs.suspects
"""
