"""The one place that decides how much of a phone number may be seen."""

import re

SHOWN = 4  # last digits; support recognises a number by them, nobody can dial it
HIDDEN = 4  # digits that stay hidden at least, so that short numbers are not shown whole

_E164_ANYWHERE = re.compile(r"\+[0-9][0-9 ().-]{5,20}[0-9]")
# Ten to fifteen digits in a row, not part of a longer word such as a Message SID.
_BARE = re.compile(r"(?<![0-9A-Za-z])[0-9]{10,15}(?![0-9A-Za-z])")
# Seven to nine, which may be a whole number too: but not behind a sign that event IDs are made with, nor of a fraction.
_SHORT = re.compile(r"(?<![0-9A-Za-z.:_@*-])[0-9]{7,9}(?!\.?[0-9A-Za-z])")
# In groups, as people write numbers without a country code. Dates and addresses of machines are written so as well, and
# a fraction has one point only.
_GROUPED = re.compile(
    r"""(?<![0-9A-Za-z.:_@*-])
    (?! \d{4}-\d\d-\d\d(?!\d) | (?:\d{1,3}\.){3}\d{1,3}(?![\d.]) | \d+\.\d+(?![\d.]) )
    \(?[0-9]{1,5}\)? (?: [ ./-]{1,3} \(?[0-9]{2,8}\)? ){1,5}
    (?![0-9A-Za-z])""",
    re.VERBOSE | re.ASCII,
)
FEWEST = 7  # digits of a number without its country code
_ENCODED = re.compile(r"%2[Bb][0-9]{7,15}")


def mask(e164: str) -> str:
    """`+15558675310` as `***5310`; of a short number fewer digits."""
    digits = re.sub(r"[^0-9]", "", e164)
    shown = min(SHOWN, max(0, len(digits) - HIDDEN))
    return "***" + digits[len(digits) - shown :]


def scrub(text: str) -> str:
    """The text with everything masked that looks like a phone number."""
    for pattern in (_ENCODED, _E164_ANYWHERE, _BARE, _GROUPED, _SHORT):
        text = pattern.sub(_masked, text)
    return text


def _masked(found: re.Match[str]) -> str:
    written = found.group()
    return mask(written) if sum(map(str.isdigit, written)) >= FEWEST else written
