"""How long what is kept of each kind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

FOREVER = "forever"
_ONE = re.compile(r"(?:(?P<kind>[a-z][a-z0-9-]{0,59})=)?(?P<days>[0-9]{1,5}|forever)")


@dataclass(frozen=True, slots=True)
class KeepFor:
    """Days since the last news of a notification that has ended; None for ever."""

    days: int | None
    of_kind: Mapping[str, int | None] = field(default_factory=dict)
    """Where a kind has another time."""

    @property
    def longest(self) -> int | None:
        """The longest of them all."""
        every = [self.days, *self.of_kind.values()]
        return None if None in every else max(days for days in every if days is not None)


def parse_keep_for(text: str) -> KeepFor:
    """From `30`, or `30,support-ack=7,incident-alert=forever`. Raises ValueError."""
    days: dict[str | None, int | None] = {}
    for part in text.split(","):
        found = _ONE.fullmatch(part.strip())
        if found is None or found["kind"] in days:
            raise ValueError("must be days such as 30, or 30,support-ack=7,incident-alert=forever")
        days[found["kind"]] = None if found["days"] == FOREVER else int(found["days"])
    if None not in days:
        raise ValueError("must begin with the days for all kinds, such as 30,support-ack=7")
    default = days.pop(None)
    return KeepFor(default, {kind: some for kind, some in days.items() if kind is not None})
