"""An appointment comes near."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated

from pydantic import Field

from notifications.duration import Duration
from notifications.event import NotNow
from notifications.fields import ZonedTimestamp
from notifications.local_time import zone_info, zones_of
from notifications.plan import Draft, Plan
from notifications.policy import Policy, Purpose, Rung
from notifications.spoken_time import day_and_time
from notifications.text_event import TextEvent
from notifications.texts import Texts


class AppointmentReminder(TextEvent):
    """An appointment comes near: one text at each of the times before it."""

    appointment_id: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._#/-]{0,39}$",
            description="The appointment's number. No spaces: it is no place for what the appointment is about.",
            examples=["A-1207"],
        ),
    ]
    starts_at: Annotated[
        ZonedTimestamp,
        Field(
            description="When it starts. The text tells the time in `timeZone`, else by the clock of this offset.",
            examples=["2026-12-01T09:30:00+01:00"],
        ),
    ]
    remind_before: Annotated[
        tuple[Duration, ...],
        Field(
            min_length=1,
            max_length=5,
            description="How long before, as ISO 8601 durations, at most P60D. Days are the calendar's: P1D is the "
            "same time by the clock on the day before, also when clocks change; PT24H is exactly 24 hours.",
            examples=[["PT24H", "PT2H"]],
            json_schema_extra={"default": ["PT24H"]},
        ),
    ] = (Duration.parse("PT24H"),)

    policy = Policy(
        purpose=Purpose.APPOINTMENTS,
        deliver_within=timedelta(minutes=30),
        stale_after=timedelta(hours=24),
        keeps_quiet=True,
        max_segments=2,
        ladder=(Rung.tell_operators(),),
    )
    reschedulable = frozenset({"starts_at", "remind_before", "time_zone"})
    texts = Texts(
        {
            "en": "Reminder: your appointment {appointment} is on {when}.",
            "es": "Recordatorio: su cita {appointment} es el {when}.",
            "de": "Erinnerung: Ihr Termin {appointment} ist am {when}.",
            "ja": "ご予約{appointment}のお知らせ: {when}",
        }
    )

    def text(self) -> str:
        when = day_and_time(self.starts_at.astimezone(self._clock()), self.locale, self.texts.language(self.locale))
        return self.texts.say(self.locale, appointment=self.appointment_id, when=when)

    def plan(self, now: datetime) -> Plan:
        """One text at each time before that is still to come; where none is, one text now. Raises NotNow."""
        start = self.starts_at.astimezone(UTC)
        if start <= now:
            raise NotNow("startsAt", "the appointment has begun")
        moments = {before.before(self.starts_at.astimezone(self._clock())): before for before in self.remind_before}
        ahead = sorted(moment for moment in moments if moment > now)
        missed = [f"{moments[moment]} before has passed" for moment in sorted(moments) if moment <= now]
        if not ahead:
            return Plan((Draft(self.body(), self.phone),), expires_at=start, left_out=tuple(missed))
        steps = (
            Draft(self.body(), self.phone, due=moment, waits_for=f"{moments[moment]} before the appointment")
            for moment in ahead
        )
        return Plan(tuple(steps), expires_at=start, left_out=tuple(missed))

    def _clock(self) -> tzinfo:
        """Whose clock the text goes by: the recipient's, else the one that the caller has written `startsAt` in."""
        if self.time_zone is not None:
            return zone_info(self.time_zone)
        if (offset := self.starts_at.tzinfo) is not None and self.starts_at.utcoffset():
            return offset
        # In UTC, which is how machines write: only a number that can be in one zone alone tells more.
        zones = zones_of(self.phone)
        return zone_info(zones[0]) if len(zones) == 1 else UTC
