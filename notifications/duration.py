"""Lengths of time by the calendar and by the clock (ISO 8601-1, 5.5.2)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_WRITTEN = re.compile(
    r"P(?!$)(?:(?P<weeks>\d{1,2})W)?(?:(?P<days>\d{1,3})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,4})H)?(?:(?P<minutes>\d{1,5})M)?(?:(?P<seconds>\d{1,7})S)?)?",
    re.ASCII,
)
LONGEST = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Duration:
    """Days of the calendar, and exact seconds. Months and years are not taken: nobody means one length by them."""

    days: int
    seconds: int

    @classmethod
    def parse(cls, written: Any) -> "Duration":
        """`P1D`, `PT90M`, `P2DT3H`. Raises PydanticCustomError for all else, for nothing, and over 60 days."""
        wrong = PydanticCustomError("duration", "must be an ISO 8601 duration of at most 60 days, for example PT24H")
        found = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
        if found is None:
            raise wrong
        parts = {name: int(number or 0) for name, number in found.groupdict().items()}
        duration = cls(
            parts["weeks"] * 7 + parts["days"], (parts["hours"] * 60 + parts["minutes"]) * 60 + parts["seconds"]
        )
        if not timedelta(0) < timedelta(days=duration.days, seconds=duration.seconds) <= LONGEST:
            raise wrong
        return duration

    def before(self, moment: datetime) -> datetime:
        """That long before an aware moment, in UTC; days by the clock on the wall of the moment's zone.

        A wall-clock time that the change of clocks leaves out is that much later; of one that comes twice, the first.
        """
        same_time = (moment.replace(fold=0) - timedelta(days=self.days)) if self.days else moment
        return same_time.astimezone(UTC) - timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        minutes, seconds = divmod(self.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        days = f"{self.days}D" if self.days else ""
        time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
        return f"P{days}{'T' + time if time else ''}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from_text = core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(value),
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )
        return from_text

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "duration", "examples": ["PT24H"]}
