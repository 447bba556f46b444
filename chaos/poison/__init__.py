"""An app of somebody else whose tasks kill, grow and never end, and the page of queues of a run.

EXTRA_APPS=chaos.poison
EXTRA_QUEUES=chaos.poison.queues.QUEUES
"""
