"""Settings that give a number for all, and other numbers for some by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PerName:
    """Numbers; None for without limit."""

    default: int | None = None
    named: Mapping[str, int | None] = field(default_factory=dict)
    """Where a name has another one."""

    def of(self, name: str) -> int | None:
        return self.named.get(name, self.default)

    @property
    def largest(self) -> int | None:
        numbers = [self.default, *self.named.values()]
        return None if None in numbers else max(number for number in numbers if number is not None)


UNLIMITED = PerName()


def parse_per_name(text: str, *, without: str, example: str, digits: int = 9) -> PerName:
    """From `30`, or `30,support-ack=7,incident-alert=forever`; `without` is the word for no limit. Raises ValueError.

    Numbers have at most so many `digits`; `example` stands in the errors.
    """
    one = re.compile(rf"(?:([A-Za-z][A-Za-z0-9._-]{{0,59}})=)?([0-9]{{1,{digits}}}|{without})", re.ASCII)
    numbers: dict[str | None, int | None] = {}
    for part in text.split(","):
        found = one.fullmatch(part.strip())
        if found is None or found[1] in numbers:
            raise ValueError(f"must be a number, or numbers by name such as {example}")
        numbers[found[1]] = None if found[2] == without else int(found[2])
    if None not in numbers:
        raise ValueError(f"must begin with the number for all, such as {example}")
    default = numbers.pop(None)
    return PerName(default, {name: number for name, number in numbers.items() if name is not None})
