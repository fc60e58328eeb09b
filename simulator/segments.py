"""How many segments a text is paid for (Twilio's glossary: GSM-7 and UCS-2 character encoding)."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # two septets each


def segments(text: str) -> int:
    """160 septets alone or 153 per part in GSM-7; 70 or 67 UTF-16 units in UCS-2. No pair is split."""
    if all(character in _BASIC or character in _EXTENSION for character in text):
        alone, part = 160, 153
        units = [1 + (character in _EXTENSION) for character in text]
    else:
        alone, part = 70, 67
        units = [1 + (ord(character) > 0xFFFF) for character in text]
    if sum(units) <= alone:
        return 1
    count, left = 1, part
    for unit in units:
        if unit > left:
            count, left = count + 1, part
        left -= unit
    return count
