"""Which time it is where the recipient is; as exactly as his number tells."""

from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from babel.core import get_global
from phonenumbers import timezone

from notifications.phone import country_of

WORLD = ("Etc/UTC",)  # ships and satellites


def is_zone(name: str) -> bool:
    """Whether it is a name of the IANA time zone database, such as Europe/Berlin."""
    return name in _zones()


def zones_of(e164: str) -> tuple[str, ...]:
    """The zones that a number may be in, sorted. Mobile numbers of large countries may be in many.

    Where the library has none for the number, all of its country's (Unicode CLDR); where there is no country, UTC.
    """
    found = tuple(zone for zone in timezone.time_zones_for_number(phonenumbers.parse(e164)) if is_zone(zone))
    return tuple(sorted(found or _zones_of_country(country_of(e164)) or WORLD))


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # reads folders of files at every call


@lru_cache(maxsize=300)
def _zones_of_country(country: str) -> tuple[str, ...]:
    if len(country) != 2:  # 001, the world
        return ()
    territories = get_global("zone_territories")
    return tuple(zone for zone, territory in territories.items() if territory == country and is_zone(zone))


@lru_cache(maxsize=700)
def zone_info(name: str) -> ZoneInfo:
    """Raises ZoneInfoNotFoundError."""
    return ZoneInfo(name)
