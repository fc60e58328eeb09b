"""How Python's values become the API's JSON, and the other way round."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from heliograph_client.errors import UnexpectedAnswer

Model = TypeVar("Model")


class Private:
    """What holds somebody's number: its repr tells nothing of that."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class Event:
    """A business event; each kind is a class of its own. Times are aware, lengths are timedelta or ISO 8601."""

    __slots__ = ()

    kind: ClassVar[str]
    event_id: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}(event_id={self.event_id!r})"  # the rest is the recipient's


def to_wire(value: Any) -> Any:
    """JSON's values. Raises ValueError for times without an offset, TypeError for what JSON has no word for."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs its offset, datetime.now(UTC) for example")
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration(value)
    if is_dataclass(value) and not isinstance(value, type):
        return named({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return named(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [to_wire(one) for one in value]
    raise TypeError(f"{type(value).__name__} cannot be sent")


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """By the API's names; what is None is left out."""
    return {camel(name): to_wire(value) for name, value in values.items() if value is not None}


def duration(length: timedelta) -> str:
    """ISO 8601, exact to the second: a day is 24 hours here. For a day of the calendar write "P1D" instead.

    Raises ValueError for what is not positive, or not of whole seconds.
    """
    if length <= timedelta(0) or length.microseconds:
        raise ValueError("a length of time must be positive, in whole seconds")
    return f"PT{length.days * 86_400 + length.seconds}S"


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def read(model: type[Model], data: Any) -> Model:
    """An answer, without the fields that are not known here. Raises UnexpectedAnswer."""
    try:
        answer: Model = _read(model, data)
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise UnexpectedAnswer(f"the answer is no {model.__name__} ({type(wrong).__name__})") from None
    return answer


def _read(hint: Any, data: Any) -> Any:
    if data is None or hint is Any:
        return data
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _read(next(one for one in arguments if _fits(one, data)), data)
    if origin is tuple:
        return tuple(_read(arguments[0], one) for one in data)
    if _holds_names(hint):
        key, value = arguments
        return {_read(key, name): _read(value, one) for name, one in data.items()}
    if hint is datetime:
        return datetime.fromisoformat(data)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    return _model(hint, data) if is_dataclass(hint) else data


def _model(model: Any, data: Mapping[str, Any]) -> Any:
    hints = _hints(model)
    return model(**{name: _read(hints[name], data[camel(name)]) for name in hints if camel(name) in data})


@cache
def _hints(model: Any) -> dict[str, Any]:
    hints = get_type_hints(model)
    return {field.name: hints[field.name] for field in fields(model)}


def _fits(hint: Any, data: Any) -> bool:
    origin = get_origin(hint)
    if hint is type(None):
        return False
    if origin is tuple or isinstance(data, list):
        return origin is tuple and isinstance(data, list)
    return (is_dataclass(hint) or _holds_names(hint)) == isinstance(data, Mapping)


def _holds_names(hint: Any) -> bool:
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)
