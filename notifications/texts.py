"""What a kind says, in the recipient's language."""

from collections.abc import Iterator, Mapping
from string import Formatter

DEFAULT = "en"


class Texts:
    """One sentence in several languages, with {fields}; English is what everyone falls back to."""

    def __init__(self, by_language: Mapping[str, str]) -> None:
        """Keys are BCP 47 tags, `es` or `pt-BR`. Raises ValueError where languages differ in their fields."""
        if DEFAULT not in by_language:
            raise ValueError(f"a text needs {DEFAULT!r}, which other languages fall back to")
        self._by_language = {tag.lower(): text for tag, text in by_language.items()}
        self.fields = _fields(by_language[DEFAULT])
        for tag, text in by_language.items():
            if _fields(text) != self.fields:
                raise ValueError(f"{tag!r} has other fields than {DEFAULT!r}")

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(self._by_language)

    def say(self, locale: str | None, /, **values: str) -> str:
        """The sentence with its fields filled in. Values are put in as they are: braces in them mean nothing."""
        return self._by_language[self.language(locale)].format(**values)

    def language(self, locale: str | None) -> str:
        """The language that a locale gets: `de-AT` gets `de` (RFC 4647, 3.4: lookup)."""
        return next((tag for tag in _chain(locale) if tag in self._by_language), DEFAULT)


def _chain(locale: str | None) -> Iterator[str]:
    parts = (locale or "").replace("_", "-").lower().split("-")
    while parts:
        yield "-".join(parts)
        parts.pop()
        if parts and len(parts[-1]) == 1:  # a singleton introduces what was just cut off
            parts.pop()


def _fields(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)
