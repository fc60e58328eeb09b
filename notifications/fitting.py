"""What no request may be: an event ID that gives the recipient away, a text that is too long."""

import re

from pydantic_core import PydanticCustomError

from notifications import phone
from notifications.segments import measure

MAX_BODY = 1600  # characters, Twilio's limit for one message (error 21617)


def check_event_id(event_id: str, number: str) -> None:
    """The event ID is in every log, metric and workflow list; the number must be in none of them.

    Raises PydanticCustomError.
    """
    digits = re.sub(r"[^0-9]", "", event_id)
    national = phone.national_digits(number)
    if number[1:] in digits or (len(national) >= 8 and national in digits):
        raise PydanticCustomError("phone_in_event_id", "eventId must not hold the recipient's phone number")


def check_text(text: str, max_segments: int) -> None:
    """Raises PydanticCustomError for what Twilio would not take in one message, or what would cost too much."""
    if len(text.encode("utf-16-le")) // 2 > MAX_BODY:
        raise PydanticCustomError("text_too_long", "the text would have over 1,600 characters")
    size = measure(text)
    if size.segments > max_segments:
        raise PydanticCustomError(
            "too_many_segments",
            "the text would take {segments} segments in {encoding}, and this kind may take {most}",
            {"segments": size.segments, "encoding": size.encoding.value, "most": max_segments},
        )
