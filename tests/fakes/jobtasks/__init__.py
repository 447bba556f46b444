"""An app of somebody else: tasks that kill, hang and behave, for the survival tests.

EXTRA_APPS=tests.fakes.jobtasks
EXTRA_QUEUES=tests.fakes.jobtasks.queues.QUEUES
"""
