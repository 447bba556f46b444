"""What a broker said no to."""


class BrokerError(Exception):
    """What the broker said, and what to do about it (`advice`). `away`: it said nothing."""

    def __init__(self, message: str, advice: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.advice, self.away = advice, away


class QueueMissing(BrokerError):
    """There is no such queue."""
