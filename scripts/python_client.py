"""Makes from docs/openapi.json and asynchronous.py what would otherwise be written twice in the Python client."""

import json
import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "clients" / "python" / "src" / "heliograph_client"
ANSWERS = (
    "Accepted", "Acknowledged", "BatchAnswer", "Canceled", "Checked", "Forgotten", "NotificationStory", "Previewed",
    "Rescheduled", "Resent", "Standing", "Started", "Summaries",
)  # fmt: skip
BY_HAND = {"DeliveryStatus": "heliograph_client.words", "Detail": "heliograph_client.errors"}
DO_NOT_EDIT = "Made by `make openapi`; edit {source} instead."
SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
FORMATS = {"date-time": "datetime"}


def main() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    for name, text in made(document).items():
        (PACKAGE / name).write_text(text)


def made(document: dict[str, Any]) -> dict[str, str]:
    """The files by their names, formatted."""
    return {
        "models.py": formatted(models(document)),
        "synchronous.py": formatted(synchronous((PACKAGE / "asynchronous.py").read_text())),
    }


def synchronous(source: str) -> str:
    """The same for those who do not use asyncio."""
    for pattern, plain in (
        (r'^""".*?"""', f'"""Heliograph\'s API. {DO_NOT_EDIT.format(source="asynchronous.py")}"""'),
        (r"\basync (def|with|for)\b", r"\1"),
        (r"\bawait ", ""),
        (r"\basyncio\b", "time"),
        (r"\bAsync(Heliograph|Client|Iterator)\b", r"\1"),
        (r"\b__a(enter|exit)__\b", r"__\1__"),
        (r"\ba(close|read|iter_bytes)\b", r"\1"),
    ):
        source = re.sub(pattern, plain, source, flags=re.DOTALL)
    return source


def models(document: dict[str, Any]) -> str:
    """A class for each kind of event, for each answer, and for each set of words."""
    schemas = document["components"]["schemas"]
    kinds = {
        found.group(1): _reference(operations["post"]["requestBody"]["content"]["application/json"]["schema"])
        for path, operations in document["paths"].items()
        if (found := re.fullmatch(r"/api/(.+)-sms", path))
    }
    asked = _with_parts(schemas, kinds.values())
    told = _with_parts(schemas, ANSWERS)
    words = [_words(name, schemas[name]) for name in told if "enum" in schemas[name] and name not in BY_HAND]
    answers = [_answer(name, schemas[name]) for name in told if "enum" not in schemas[name] and name not in BY_HAND]
    parts = [_part(name, schemas) for name in asked if name not in kinds.values() and "enum" not in schemas[name]]
    events = [_event(kind, name, schemas) for kind, name in sorted(kinds.items())]
    head = f'''"""The events, and what the API answers. {DO_NOT_EDIT.format(source="the service")}"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

from heliograph_client.errors import Detail
from heliograph_client.wire import Event, Private
from heliograph_client.words import DeliveryStatus, Word
'''
    listed = f"EVENTS: tuple[type[Event], ...] = ({''.join(f'{name}, ' for _, name in sorted(kinds.items()))})"
    body = "\n\n".join([*words, *parts, *events, *answers, listed])
    names = ["EVENTS", *sorted(re.findall(r"^class (\w+)", body, re.MULTILINE))]
    return "\n\n".join([head, f"__all__ = {names!r}", body])


def _with_parts(schemas: dict[str, Any], names: Any) -> list[str]:
    """The schemas and all that they are made of, each after its parts."""
    found: list[str] = []

    def add(name: str) -> None:
        for part in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schemas[name])):
            if part not in found and part != name:
                add(part)
        if name not in found:
            found.append(name)

    for name in names:
        add(name)
    return found


def _words(name: str, schema: dict[str, Any]) -> str:
    lines = [f"class {name}(Word):", *_about(schema), ""]
    for word in schema["enum"]:
        lines.append(f"    {re.sub(r'[^A-Z0-9]', '_', word.upper())} = {word!r}")
    return "\n".join(lines) + "\n"


def _part(name: str, schemas: dict[str, Any]) -> str:
    return _class(name, "Private", schemas[name], _asked(schemas[name], schemas), private=True)


def _event(kind: str, name: str, schemas: dict[str, Any]) -> str:
    fields = [f"    kind: ClassVar[str] = {kind!r}", "", *_asked(schemas[name], schemas)]
    return _class(name, "Event", schemas[name], fields, private=True)


def _answer(name: str, schema: dict[str, Any]) -> str:
    fields = []
    for field, about in _fields(schema):
        hint = _told(about)
        if "default" in about or field not in schema.get("required", []):
            empty = {"[]": "()", "{}": "field(default_factory=dict)"}
            default = json.dumps(about.get("default"))
            written = empty.get(default, repr(about.get("default")))
            fields.append(f"    {_snake(field)}: {hint} = {written}")
        else:
            fields.append(f"    {_snake(field)}: {hint}" + (" = None" if hint.endswith("| None") else ""))
        fields += _about(about)
    return _class(name, "", schema, fields, private=False)


def _asked(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    lines = []
    for field, about in _fields(schema):
        hint = _asks(about, schemas).removesuffix(" | None")
        needed = field in schema["required"]
        lines.append(f"    {_snake(field)}: {hint}" + ("" if needed else " | None = None"))
        lines += _about(about)
    return lines


def _class(name: str, base: str, schema: dict[str, Any], fields: list[str], *, private: bool) -> str:
    return "\n".join(
        [
            f"@dataclass(frozen=True, slots=True, kw_only=True{', repr=False' if private else ''})",
            f"class {name}{f'({base})' if base else ''}:",
            *_about(schema),
            "",
            *(fields or ["    pass"]),
        ]
    )


def _fields(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    """The event's ID and the phone first, then what is needed."""
    first = ["eventId", "phone"]

    def place(field: str) -> tuple[int, bool, str]:
        return (first.index(field) if field in first else 2, field not in schema.get("required", []), field)

    return [(field, schema["properties"][field]) for field in sorted(schema["properties"], key=place)]


def _asks(about: dict[str, Any], schemas: dict[str, Any]) -> str:
    """The type of a field that callers fill in."""
    if "$ref" in about:
        name = _reference(about)
        return _literal(schemas[name]["enum"]) if "enum" in schemas[name] else name
    if "anyOf" in about:
        return " | ".join(_asks(one, schemas) for one in about["anyOf"])
    if "enum" in about:
        return _literal(about["enum"])
    if about.get("type") == "array":
        return f"Sequence[{_asks(about['items'], schemas)}]"
    if about.get("format") == "duration":
        return "timedelta | str"
    return _scalar(about)


def _told(about: dict[str, Any]) -> str:
    """The type of a field that the API fills in."""
    if "$ref" in about:
        return _reference(about)
    if "anyOf" in about:
        return " | ".join(_told(one) for one in about["anyOf"])
    if "enum" in about:
        return _literal(about["enum"])
    if about.get("type") == "array":
        return f"tuple[{_told(about['items'])}, ...]"
    if about.get("type") == "object":
        key = _told(about["propertyNames"]) if "propertyNames" in about else "str"
        value = about.get("additionalProperties")
        return f"Mapping[{key}, {_told(value) if isinstance(value, dict) else 'Any'}]"
    return _scalar(about)


def _scalar(about: dict[str, Any]) -> str:
    if about.get("type") == "null":
        return "None"
    return FORMATS.get(about.get("format", ""), SCALARS.get(about.get("type", ""), "Any"))


def _literal(words: list[str]) -> str:
    return f"Literal[{', '.join(map(repr, words))}]"


def _reference(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _about(about: dict[str, Any]) -> list[str]:
    return [_docstring(about["description"])] if "description" in about else []


def _docstring(text: str) -> str:
    text = " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''")
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) > 100:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    return '    """' + "\n    ".join(lines) + '"""'


def _snake(name: str) -> str:
    plain = re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower()
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def formatted(source: str) -> str:
    fixing = ["check", "--select", "F401,I,UP028", "--fix-only", "--unsafe-fixes"]
    for arguments in (fixing, ["format"]):
        source = subprocess.run(
            [Path(sys.executable).parent / "ruff", *arguments, "--quiet", "--stdin-filename", PACKAGE / "made.py", "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
    return source


if __name__ == "__main__":
    main()
