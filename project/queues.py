"""The page of the queues. (filled in below)"""


def pages(channels):
    return {}
