"""docs/privacy.md, as far as a test can read it."""

import re
from enum import Enum
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()


class Form(Enum):
    """How something is written there; the words of the page, and what it looks like in the database."""

    CLEAR = ("clear", r"(?s).*")
    MASKED = ("masked", r"\*\*\*[0-9]{0,4}|nobody")
    HASHED = ("keyed hash", r"(verify-[a-z]+:)?[0-9a-f]{32}|budget:[A-Za-z0-9._-]+")
    SEALED = ("sealed", r"sealed:r/[A-Za-z0-9]+:[A-Za-z0-9+/]+={0,2}")
    ENCRYPTED = ("encrypted", r"[A-Za-z0-9._-]{1,40}:[A-Za-z0-9+/]+={0,2}")
    NUMBERS_MASKED = ("clear, numbers masked", r"(?s)(?!.*(?<![0-9A-Za-z])\+?[0-9]{10,15}(?![0-9A-Za-z])).*")

    def is_form_of(self, value: str) -> bool:
        return re.fullmatch(self.value[1], value) is not None


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _places(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


PLACES = {
    place: next(form for form in sorted(Form, key=lambda form: -len(form.value[0])) if row[2].startswith(form.value[0]))
    for row in _rows("Where personal data lives")
    for place in _places(row[1])
}
"""Where personal data lives, and in what form."""

NOT_PERSONAL = {place for row in _rows("What is not personal") for place in _places(row[0])}

SETTINGS = dict(re.findall(r"`([A-Z][A-Z_]+)` \(([^)]+)\)", TEXT))
"""Those that are named with their default."""
