"""Not at three in the morning, wherever the recipient may be."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.local_time import WORLD, zones_of
from notifications.quiet_hours import QuietHours

NIGHT = QuietHours.parse("21:00-08:00")
ZONES = sorted(available_timezones() - {"Factory", "localtime"})
MOMENTS = st.integers(1_704_067_200, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def wall(moment: datetime, zone: str) -> time:
    return moment.astimezone(ZoneInfo(zone)).time()


def opens(moment: str, *zones: str, hours: QuietHours = NIGHT) -> str:
    """The opening, by the clock of the first zone."""
    at = hours.opening(datetime.fromisoformat(moment), zones)
    return at.astimezone(ZoneInfo(zones[0])).isoformat()


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        ("2026-11-23T20:59:59+01:00", "2026-11-23T20:59:59+01:00"),  # still open
        ("2026-11-23T21:00:00+01:00", "2026-11-24T08:00:00+01:00"),
        ("2026-11-24T03:00:00+01:00", "2026-11-24T08:00:00+01:00"),
        ("2026-11-24T07:59:59+01:00", "2026-11-24T08:00:00+01:00"),
        ("2026-11-24T08:00:00+01:00", "2026-11-24T08:00:00+01:00"),
        ("2026-10-24T23:00:00+02:00", "2026-10-25T08:00:00+01:00"),  # clocks go back: an hour more
        ("2026-03-28T23:00:00+01:00", "2026-03-29T08:00:00+02:00"),  # clocks go forward: an hour less
    ],
)
def test_the_window_in_berlin(moment: str, opening: str) -> None:
    assert opens(moment, "Europe/Berlin") == opening


def test_a_zone_with_a_half_hour_and_one_with_three_quarters() -> None:
    assert opens("2026-11-23T20:00:00Z", "Asia/Kolkata") == "2026-11-24T08:00:00+05:30"
    assert opens("2026-11-23T20:00:00Z", "Asia/Kathmandu") == "2026-11-24T08:00:00+05:45"


def test_on_both_sides_of_the_date_line() -> None:
    assert opens("2026-11-23T12:00:00Z", "Pacific/Kiritimati") == "2026-11-24T08:00:00+14:00"
    assert opens("2026-11-23T12:00:00Z", "Pacific/Pago_Pago") == "2026-11-23T08:00:00-11:00"


def test_the_strictest_of_all_zones_counts() -> None:
    # 8 in Honolulu is 13 in New York: both are awake. At 9 in New York only New York is.
    moment = "2026-11-23T09:00:00-05:00"
    assert opens(moment, "America/New_York", "Pacific/Honolulu") == "2026-11-23T13:00:00-05:00"
    assert opens(moment, "America/New_York") == moment


def test_an_end_that_the_clock_skips_and_one_that_it_shows_twice() -> None:
    hours = QuietHours.parse("22:00-02:30")
    assert opens("2026-03-28T23:00:00+01:00", "Europe/Berlin", hours=hours) == "2026-03-29T03:30:00+02:00"
    assert opens("2026-10-25T02:10:00+02:00", "Europe/Berlin", hours=hours) == "2026-10-25T02:30:00+02:00"
    assert opens("2026-10-25T02:10:00+01:00", "Europe/Berlin", hours=hours) == "2026-10-25T02:30:00+01:00"


@given(MOMENTS, st.sampled_from(ZONES))
def test_it_never_opens_at_night_nor_later_than_it_must(moment: datetime, zone: str) -> None:
    opening = NIGHT.opening(moment, [zone])
    assert not NIGHT.quiet_at(wall(opening, zone))
    assert timedelta(0) <= opening - moment <= timedelta(hours=13)  # 11, and 2 where a zone changes its offset
    if not NIGHT.quiet_at(wall(moment, zone)):
        assert opening == moment


@given(MOMENTS, st.sampled_from(["+61412345678", "+15558675310", "+79161234567", "+5511912345678", "+6281234567890"]))
def test_within_one_country_there_is_always_an_hour_for_all(moment: datetime, phone: str) -> None:
    zones = zones_of(phone)
    opening = NIGHT.opening(moment, zones)
    assert not any(NIGHT.quiet_at(wall(opening, zone)) for zone in zones)
    assert opening - moment <= timedelta(hours=48)


@pytest.mark.parametrize(
    ("phone", "among"),
    [
        ("+4915112345678", "Europe/Berlin"),
        ("+18085551234", "Pacific/Honolulu"),
        ("+61412345678", "Australia/Perth"),
        ("+15558675310", "America/Los_Angeles"),
        ("+870773111632", WORLD[0]),
    ],
)
def test_a_number_tells_its_zones(phone: str, among: str) -> None:
    assert among in zones_of(phone)


@pytest.mark.parametrize("written", ["", "21-8", "25:00-08:00", "08:00-08:00", "08:00-07:00", "21:00 to 08:00"])
def test_hours_that_make_no_sense(written: str) -> None:
    with pytest.raises(ValueError, match="must"):
        QuietHours.parse(written)
