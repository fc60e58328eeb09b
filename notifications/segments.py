"""How a text is encoded and how many segments it is paid for.

Twilio, "What the heck is a segment?" and the glossary's GSM-7 and UCS-2 pages; GSM 03.38.
"""

from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")  # two septets each: an escape goes before


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Size:
    """What a text takes."""

    encoding: Encoding
    segments: int
    units: int
    """Septets in GSM-7, UTF-16 code units in UCS-2."""


def measure(text: str) -> Size:
    """160 septets in one segment or 153 in each of several; in UCS-2 70 or 67. Nothing that takes two is split."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        encoding, alone, part = Encoding.GSM_7, 160, 153
        widths = [1 + (character in _EXTENDED) for character in text]
    else:
        encoding, alone, part = Encoding.UCS_2, 70, 67
        widths = [1 + (ord(character) > 0xFFFF) for character in text]
    units = sum(widths)
    if units <= alone:
        return Size(encoding, 1, units)
    segments, left = 1, part
    for width in widths:
        if width > left:
            segments, left = segments + 1, part
        left -= width
    return Size(encoding, segments, units)
