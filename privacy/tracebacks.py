"""Where something went wrong, without what it went wrong with.

A library's exception likes to repeat the value that it choked on: a text, a name, a code, which no pattern finds.
"""

import traceback
from collections.abc import Iterator
from types import TracebackType

# Written by us, about things and not about people; `notifications` and `api` name fields, never what is in them.
_OURS = frozenset(
    {"activities", "api", "bootstrap", "carrier", "engine", "notifications", "privacy", "settings", "store"}
)
# By a server or a machine about itself.
_OF_MACHINES = frozenset(
    {"temporalio.service.RPCError", "sqlalchemy.exc.OperationalError", "sqlalchemy.exc.ProgrammingError"}
)
# The failures of our own activities (workflows/names.py), as Temporal hands them on.
OUR_FAILURES = frozenset(
    {
        "Refused",
        "Suppressed",
        "TooLate",
        "Held",
        "Stale",
        "OutcomeUnknown",
        "NotAccepted",
        "ServerError",
        "WebhookNotTaken",
    }
)

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def without_what_it_choked_on(exc_info: ExcInfo) -> str:
    """The traceback and the types of the whole chain; a message only where it cannot hold anything personal."""
    return "\n".join(_chain(exc_info[1], set()))


def _chain(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _chain(before, seen)
        yield "\nand then:\n"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield f"{_name(type(error))}: {error}" if _tells_nothing_personal(error) else _name(type(error))
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        if id(inner) not in seen:
            yield from _chain(inner, seen)


def _tells_nothing_personal(error: BaseException) -> bool:
    names = [_name(kind) for kind in type(error).__mro__]
    if names[0] == "temporalio.exceptions.ApplicationError":
        return getattr(error, "type", None) in OUR_FAILURES
    ours = names[0].partition(".")[0] in _OURS
    return ours or isinstance(error, OSError) or not _OF_MACHINES.isdisjoint(names)


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
