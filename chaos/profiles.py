"""How long and how hard: `ci` within five minutes for all set-ups, `full` ten minutes each."""

from dataclasses import dataclass, replace

from tests.servers.setups import NAMES


@dataclass(frozen=True)
class Profile:
    """`seconds` under fire; `every`: between two short faults; `rate`: messages a second; `drain`: seconds that it may
    take at most until nothing waits any more; `side_by_side`: how many set-ups run at once."""

    name: str
    seconds: float
    every: float
    rate: float
    conversations: int
    drain: float
    side_by_side: int
    seed: int = 20261122
    setups: tuple[str, ...] = NAMES

    def changed(self, **wanted: object) -> "Profile":
        """With what was given on the command line; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in wanted.items() if value is not None})  # type: ignore[arg-type]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("ci", 55, every=4.0, rate=2.5, conversations=40, drain=110, side_by_side=3),
        Profile("full", 600, every=6.0, rate=4.0, conversations=60, drain=180, side_by_side=1),
    )
}
