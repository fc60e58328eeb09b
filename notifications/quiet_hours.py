"""When people sleep: wall-clock hours at the recipient's, in every zone that he may be in."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from notifications.local_time import zone_info

_WRITTEN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\s*[-–]\s*([01][0-9]|2[0-3]):([0-5][0-9])")
LONGEST = timedelta(hours=16)  # with more, large countries would have no hour left that suits all of their zones
_TRIES = 500  # zones times days; what finds no common hour by then has none


class QuietHours(BaseModel):
    """From `start` to before `end`, by the clock on the wall; over midnight where `end` is not later."""

    model_config = ConfigDict(frozen=True)

    start: time
    end: time

    @classmethod
    def parse(cls, written: str) -> "QuietHours":
        """`21:00-08:00`. Raises ValueError."""
        found = _WRITTEN.fullmatch(written.strip())
        if found is None:
            raise ValueError("must be two times of the day such as 21:00-08:00")
        numbers = [int(number) for number in found.groups()]
        return cls(start=time(numbers[0], numbers[1]), end=time(numbers[2], numbers[3]))

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        if self.start == self.end or self._length > LONGEST:
            raise ValueError("must leave at least 8 hours of the day")
        return self

    @property
    def _length(self) -> timedelta:
        day = date(2000, 1, 1)
        length = datetime.combine(day, self.end) - datetime.combine(day, self.start)
        return length if length > timedelta(0) else length + timedelta(days=1)

    def quiet_at(self, wall: time) -> bool:
        """Whether the clock on the wall says that people sleep."""
        wall = wall.replace(tzinfo=None)
        if self.start < self.end:
            return self.start <= wall < self.end
        return wall >= self.start or wall < self.end

    def opening(self, moment: datetime, zones: Iterable[str]) -> datetime:
        """The first moment from `moment` on at which it is quiet in none of the zones; aware, in UTC.

        Where the zones have no common hour (they never do within one country), the last zone's morning.
        """
        names = tuple(zones)
        moment = moment.astimezone(UTC)
        for _ in range(_TRIES):
            later = max((self._opening_in(moment, name) for name in names), default=moment)
            if later == moment:
                break
            moment = later
        return moment

    def _opening_in(self, moment: datetime, zone: str) -> datetime:
        local = moment.astimezone(zone_info(zone))
        if not self.quiet_at(local.time()):
            return moment
        over_midnight = self.start > self.end and local.time() >= self.start
        day = local.date() + timedelta(days=1) if over_midnight else local.date()
        ends = (datetime.combine(day, self.end, local.tzinfo).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        # On the day that clocks go back the end may come twice; the first one may be over.
        return next((end for end in ends if end > moment), moment + timedelta(hours=1))
