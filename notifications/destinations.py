"""Where texts may go: to which countries, and to which sorts of numbers."""

from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from phonenumbers import PhoneNumberType


class NumberType(StrEnum):
    """Sorts of numbers that may be texted at all; others are no people's own phones (`phone.REFUSED_TYPES`)."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed-line"
    MOBILE_OR_FIXED_LINE = "mobile-or-fixed-line"  # numbers do not tell everywhere: in North America they never do
    TOLL_FREE = "toll-free"
    VOIP = "voip"
    PERSONAL = "personal"
    UNKNOWN = "unknown"  # a range that the library does not know (yet)


_TYPES = {
    PhoneNumberType.MOBILE: NumberType.MOBILE,
    PhoneNumberType.FIXED_LINE: NumberType.FIXED_LINE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberType.MOBILE_OR_FIXED_LINE,
    PhoneNumberType.TOLL_FREE: NumberType.TOLL_FREE,
    PhoneNumberType.VOIP: NumberType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: NumberType.PERSONAL,
}


def number_type(e164: str) -> NumberType:
    """The sort of a number, by its range."""
    return _TYPES.get(phonenumbers.number_type(phonenumbers.parse(e164)), NumberType.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Destinations:
    """What the settings allow; what is empty allows all."""

    countries: frozenset[str] = frozenset()
    """ISO 3166-1 alpha-2."""
    number_types: frozenset[NumberType] = frozenset()

    def why_not(self, number: str, country: str, *, call: bool = False) -> str | None:
        """Why a number in E.164 must not be texted (or called); None when it may be."""
        if self.countries and country not in self.countries:
            return f"{country} is not in ALLOWED_COUNTRIES"
        if self.number_types and not call and (found := number_type(number)) not in self.number_types:
            return f"{found} is not in ALLOWED_NUMBER_TYPES"
        return None
