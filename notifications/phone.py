"""Phone numbers: E.164 always, national form only with its region."""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

EXAMPLE = "+15558675310"
E164 = re.compile(r"\+[1-9][0-9]{5,14}")  # ITU-T E.164: at most 15 digits after the plus
NATIONAL = re.compile(r"[0-9 ()./+-]{3,40}")
REGIONS: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)

REFUSED_TYPES = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.UAN: "a company's universal access number",
    PhoneNumberType.VOICEMAIL: "a voicemail access number",
}


class InvalidPhone(ValueError):
    """The text is not a phone number that can be texted. The message never repeats the number."""


class RefusedPhoneType(InvalidPhone):
    """A real number of a sort that must not be texted."""


def normalise(text: str, region: str | None = None) -> str:
    """The number in E.164.

    `region` (ISO 3166-1 alpha-2) lets `text` be in that region's national form; E.164 passes with or without it.
    A number whose range the library does not know yet passes when its length is possible: Twilio is the authority.

    Raises:
        InvalidPhone: not E.164 (or national form of `region`), or not a possible number.
        RefusedPhoneType: premium-rate, shared-cost, pager and the like.
    """
    if not E164.fullmatch(text) and region is None:
        raise InvalidPhone(f"must be in E.164 form, for example {EXAMPLE}; or give its region")
    if not NATIONAL.fullmatch(text):
        raise InvalidPhone(f"may hold digits, spaces and ( ) - . / only, for example {EXAMPLE}")
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        raise InvalidPhone(f"is not a phone number, for example {EXAMPLE}") from None
    if not phonenumbers.is_possible_number(number):
        raise InvalidPhone(f"has a length that no number of its country has, for example {EXAMPLE}")
    refused = REFUSED_TYPES.get(phonenumbers.number_type(number))
    if refused is not None:
        raise RefusedPhoneType(f"is {refused}; texts go to people's own phones only")
    normal = _e164(number)
    # A number that loses more digits every time it is read (a country's trunk prefix at its begin) is none.
    if not E164.fullmatch(normal) or _e164(phonenumbers.parse(normal)) != normal:
        raise InvalidPhone(f"is not a phone number, for example {EXAMPLE}")
    return normal


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def country_of(e164: str) -> str:
    """The ISO 3166-1 alpha-2 region of a number, `001` for non-geographic ones, `ZZ` where nobody knows."""
    number = phonenumbers.parse(e164)
    return (
        phonenumbers.region_code_for_number(number)
        or phonenumbers.region_code_for_country_code(number.country_code or 0)
        or "ZZ"
    )


def is_toll_free(number: str) -> bool:
    """Whether it is a toll-free number; False for what is no number at all, such as a Messaging Service."""
    try:
        return bool(phonenumbers.number_type(phonenumbers.parse(number)) == PhoneNumberType.TOLL_FREE)
    except NumberParseException:
        return False


def national_digits(e164: str) -> str:
    """The number without its country code."""
    return phonenumbers.national_significant_number(phonenumbers.parse(e164))
