"""What one invariant says of a run."""

from dataclasses import dataclass, field

EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """`looked_at`: how many things were judged; `left_out`: how many a fault of the run excuses; `broken`: the rest."""

    name: str
    promise: str
    broken: list[str] = field(default_factory=list)
    looked_at: int = 0
    left_out: int = 0

    @property
    def ok(self) -> bool:
        return not self.broken

    def __str__(self) -> str:
        head = f"{'ok    ' if self.ok else 'BROKEN'} {self.name:<22} {self.promise}"
        head += f" ({self.looked_at} looked at"
        head += f", {self.left_out} explained by a fault)" if self.left_out else ")"
        if self.ok:
            return head
        more = len(self.broken) - EXAMPLES
        lines = [f"         {line}" for line in self.broken[:EXAMPLES]]
        return "\n".join(
            [f"{head}: {len(self.broken)}", *lines, *([f"         … {more} more"] if more > 0 else [])]
        )
