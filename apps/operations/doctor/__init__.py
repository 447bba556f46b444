"""What a person can have wrong, looked at once: `manage.py doctor`.

1. Each file is a family of checks: functions that yield findings (finding.py). catalogue.py lists them in order.
2. examination.py runs them side by side, each in a thread of its own and under one deadline: a check that breaks or
   hangs is a finding itself and hides no other. One that needs a thing which failed is left out.
3. showing.py prints what was found; outside.py asks servers, with short timeouts.

A finding says what is so and, if it should be otherwise, what to do about it with one command.
"""
