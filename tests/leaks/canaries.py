"""What must stand nowhere, and every form in which it might stand there all the same."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

import phonenumbers
from phonenumbers import PhoneNumberFormat

# Fewer digits than that are found all over a log; they are looked for as words of their own.
LONG_ENOUGH = 9


@dataclass(frozen=True, slots=True)
class Canary:
    """One thing that is looked for."""

    what: str
    text: str
    forms: frozenset[bytes]
    """As they stand anywhere, in the midst of a word too."""
    words: frozenset[bytes] = frozenset()
    """Short ones: they count only where neither a letter, a digit nor a point is beside them."""


class Search:
    """For many canaries at once: their forms begin alike, and hardly any beginning is found at all."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._beginnings: dict[bytes, list[tuple[Canary, bytes, bool]]] = defaultdict(list)
        for canary in canaries:
            for form in canary.forms:
                self._beginnings[form[:6]].append((canary, form, False))
            for word in canary.words:
                self._beginnings[word[:6]].append((canary, word, True))

    def __call__(self, data: bytes) -> dict[str, tuple[Canary, bytes]]:
        """Those that are found, by what they are, each with the form that stands there."""
        found = {}
        for beginning, candidates in self._beginnings.items():
            if beginning in data:
                found |= {
                    canary.what: (canary, form) for canary, form, alone in candidates if _stands(form, data, alone)
                }
        return found


def _stands(form: bytes, data: bytes, alone: bool) -> bool:
    if not alone:
        return form in data
    return re.search(rb"(?<![0-9A-Za-z.])" + re.escape(form) + rb"(?![0-9A-Za-z])", data) is not None


def phone(what: str, e164: str) -> Canary:
    """A number, with and without its country code, as people and programs write it."""
    number = phonenumbers.parse(e164)
    national = phonenumbers.national_significant_number(number)
    written = {national, e164[1:]}
    for style in (PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966):
        formatted = phonenumbers.format_number(number, style)
        written |= {formatted, formatted.removeprefix(f"+{number.country_code} ")}
    if len(national) == 10:
        parts = national[:3], national[3:6], national[6:]
        written |= {sign.join(parts) for sign in (" ", "-", ".", "/")} | {"({}) {}-{}".format(*parts)}
    long = {one for one in written if sum(map(str.isdigit, one)) >= LONG_ENOUGH}
    return Canary(what, e164, _forms(long), frozenset(one.encode() for one in written - long))


def words(what: str, text: str) -> Canary:
    """Something that somebody has written."""
    return Canary(what, text, _forms([text]))


def secret(what: str, text: str, *decoded: bytes) -> Canary:
    """A key; `decoded` are the bytes that it stands for."""
    return Canary(what, text, _forms([text]) | {form for one in decoded for form in _encoded(one)})


def code(what: str, digits: str) -> Canary:
    """A one-time code. It has to begin with zeros, so that nothing that was counted or measured looks like it."""
    assert digits.startswith("00")
    return Canary(what, digits, frozenset(_encoded(digits.encode())) - {digits.encode()}, frozenset([digits.encode()]))


def _forms(texts: Iterable[str]) -> frozenset[bytes]:
    found = set()
    for text in texts:
        found |= _encoded(text.encode())
        found |= {quote(text, safe="").encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")}
    return frozenset(found)


def _encoded(data: bytes) -> set[bytes]:
    """As they are, in hexadecimal digits, and in base64 wherever they begin in what was encoded."""
    found = {data, data.hex().encode(), data.hex().upper().encode()}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data)
        # What the neighbours have a part in is cut off on both sides.
        whole = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found |= {whole, whole.replace(b"+", b"-").replace(b"/", b"_")}
    return found
