"""How many texts and calls of one sort a phone may get within a time."""

import re
from dataclasses import dataclass
from datetime import timedelta

_WRITTEN = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,2})([mhd])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` in any `per` that one looks at."""

    count: int
    per: timedelta
    written: str

    def __str__(self) -> str:
        return self.written


def parse_caps(written: str) -> tuple[Cap, ...]:
    """`2/1m,6/15m,12/1h,40/1d`. Raises ValueError."""
    caps = []
    for part in filter(None, (part.strip() for part in written.split(","))):
        found = _WRITTEN.fullmatch(part)
        if found is None:
            raise ValueError("must be a list such as 2/1m,6/15m,12/1h,40/1d")
        count, length, unit = found.groups()
        caps.append(Cap(int(count), int(length) * _UNITS[unit], part))
    return tuple(caps)
