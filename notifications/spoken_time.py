"""Days and times as people say them, in their language (Unicode CLDR)."""

from datetime import UTC, datetime

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_time

# CLDR puts a narrow no-break space before "AM", which would make a GSM-7 text cost as UCS-2.
_SPACES = str.maketrans({"\u202f": " ", "\u00a0": " ", "\u2009": " "})


def day_and_time(moment: datetime, locale: str | None, language: str) -> str:
    """`Tue, Dec 1, 9:30 AM` by the moment's own clock; "UTC" is added where that is nobody's.

    `language` is that of the text around it; `locale` may name a region of it, whose habits count.
    """
    habits = _habits(locale, language)
    day = format_skeleton("MMMEd", moment, locale=habits)
    time = format_time(moment.time(), "short", locale=habits)
    zone = " UTC" if moment.tzinfo is UTC else ""
    return f"{day}, {time}{zone}".translate(_SPACES)


def _habits(locale: str | None, language: str) -> Locale:
    try:
        wanted = Locale.parse((locale or "").replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        wanted = None
    if wanted is not None and wanted.language == language.split("-")[0]:
        return wanted
    return Locale.parse("en_US" if language == "en" else language.replace("-", "_"))
