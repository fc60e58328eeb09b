"""When reminders leave, in every zone and over every change of clocks; what they say."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from notifications.duration import Duration
from notifications.event import NotNow
from notifications.kinds.appointment_reminder import AppointmentReminder
from notifications.segments import Encoding, measure

GOOD: dict[str, Any] = {
    "eventId": "appointment:1207",
    "phone": "+15558675310",
    "appointmentId": "A-1207",
    "startsAt": "2026-12-01T09:30:00+01:00",
    "consentAt": "2026-10-01T09:00:00+02:00",
}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONES = sorted(available_timezones() - {"localtime", "Factory"})


def reminder(**fields: Any) -> AppointmentReminder:
    return AppointmentReminder.model_validate(GOOD | fields)


def due(event: AppointmentReminder, now: datetime = NOW) -> list[datetime | None]:
    return [step.due for step in event.plan(now).steps]


@pytest.mark.parametrize(
    ("locale", "says"),
    [
        ("en-US", "Reminder: your appointment A-1207 is on Tue, Dec 1, 9:30 AM."),
        ("en-GB", "Reminder: your appointment A-1207 is on Tue 1 Dec, 09:30."),
        ("es", "Recordatorio: su cita A-1207 es el mar, 1 dic, 9:30."),
        ("de-AT", "Erinnerung: Ihr Termin A-1207 ist am Di., 1. Dez., 09:30."),
        ("ja", "ご予約A-1207のお知らせ: 12月1日(火), 9:30"),
        ("fr", "Reminder: your appointment A-1207 is on Tue, Dec 1, 9:30 AM."),
        (None, "Reminder: your appointment A-1207 is on Tue, Dec 1, 9:30 AM."),
    ],
)
def test_it_tells_the_time_as_people_say_it(locale: str | None, says: str) -> None:
    assert reminder(locale=locale).text() == says


def test_the_recipients_zone_tells_the_time_where_it_is_given() -> None:
    assert "3:30 AM" in reminder(timeZone="America/New_York").text()


def test_a_time_in_utc_is_told_in_the_numbers_zone_where_that_is_one_alone() -> None:
    berlin = {"phone": "+493012345678", "startsAt": "2026-12-01T08:30:00Z"}
    assert reminder(**berlin).text().endswith("Tue, Dec 1, 9:30 AM.")
    assert reminder(startsAt="2026-12-01T08:30:00Z").text().endswith("Tue, Dec 1, 8:30 AM UTC.")


def test_latin_texts_cost_one_segment_in_gsm_7() -> None:
    for locale in ("en", "de"):
        for hour in range(24):
            size = measure(reminder(locale=locale, startsAt=f"2026-12-01T{hour:02}:30:00+01:00").body())
            assert (size.encoding, size.segments) == (Encoding.GSM_7, 1)


def test_days_are_the_calendars_and_hours_are_hours() -> None:
    """Clocks went back in Berlin in the night before: the day had 25 hours."""
    after = reminder(startsAt="2026-10-25T09:30:00+01:00", timeZone="Europe/Berlin", remindBefore=["P1D", "PT24H"])
    day, hours = due(after, datetime(2026, 10, 1, tzinfo=UTC))
    assert day == datetime(2026, 10, 24, 7, 30, tzinfo=UTC)  # 9:30 in summer time
    assert hours == datetime(2026, 10, 24, 8, 30, tzinfo=UTC)  # 10:30


def test_a_wall_clock_time_that_spring_leaves_out_is_as_much_later() -> None:
    event = reminder(startsAt="2027-03-29T02:30:00+02:00", timeZone="Europe/Berlin", remindBefore=["P1D"])
    assert due(event) == [datetime(2027, 3, 28, 1, 30, tzinfo=UTC)]  # 2:30 does not exist; 3:30 does


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(1_798_761_600, 1_956_528_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    days=st.integers(0, 30),
    minutes=st.integers(1, 3000),
)
def test_everywhere_reminders_leave_that_long_before(zone: str, start: datetime, days: int, minutes: int) -> None:
    local = start.astimezone(ZoneInfo(zone))
    exact = Duration(0, minutes * 60).before(local)
    assert start - exact == timedelta(minutes=minutes)
    if days:
        moment = Duration(days, 0).before(local)
        there = moment.astimezone(ZoneInfo(zone))
        assert local.date() - there.date() in (timedelta(days=days), timedelta(days=days - 1))
        # The same time by the clock on the wall, unless that clock was changed over it.
        if there.utcoffset() == (there - timedelta(hours=3)).utcoffset() == (there + timedelta(hours=3)).utcoffset():
            assert there.time() == local.time()
        assert abs((start - moment) - timedelta(days=days)) <= timedelta(hours=26)  # date lines have been moved


def test_times_that_have_passed_fall_away_and_the_reason_is_kept() -> None:
    event = reminder(remindBefore=["P30D", "PT24H", "PT2H"])
    plan = event.plan(NOW)
    assert [step.due for step in plan.steps] == [
        datetime(2026, 11, 30, 8, 30, tzinfo=UTC),
        datetime(2026, 12, 1, 6, 30, tzinfo=UTC),
    ]
    assert plan.left_out == ("P30D before has passed",)
    assert plan.expires_at == datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


def test_the_same_moment_twice_is_one_text() -> None:
    assert len(due(reminder(remindBefore=["PT24H", "PT1440M"]))) == 1


def test_an_appointment_that_has_begun_is_not_reminded_of() -> None:
    with pytest.raises(NotNow):
        reminder().plan(datetime(2026, 12, 1, 8, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "before",
    [
        "24h",
        "P",
        "PT",
        "PT0S",
        "P0D",
        "-PT1H",
        "P1M",
        "P1Y",
        "PT1.5H",
        "P61D",
        "PT99999H",
        "",
        24,
        None,
        "pt24h",
        "P1DT",
    ],
)
def test_what_is_no_duration_is_refused(before: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        reminder(remindBefore=[before])
    assert refused.value.errors()[0]["type"] == "duration"


@pytest.mark.parametrize("before", ["PT24H", "P1D", "P1W", "P2DT3H4M", "PT90M", "PT45S", "P60D"])
def test_durations_are_written_back_as_they_mean(before: str) -> None:
    parsed = Duration.parse(before)
    assert Duration.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "starts", ["2026-12-01T09:30:00", "2026-12-01", "9999-12-31T23:59:59-14:00", "1999-01-01T00:00Z"]
)
def test_a_start_without_offset_or_out_of_time_is_refused(starts: str) -> None:
    with pytest.raises(ValidationError):
        reminder(startsAt=starts)


@pytest.mark.parametrize("appointment", ["root canal treatment", "", "x" * 41, "line\nbreak"])
def test_the_number_of_the_appointment_is_no_place_for_what_it_is_about(appointment: str) -> None:
    with pytest.raises(ValidationError):
        reminder(appointmentId=appointment)
