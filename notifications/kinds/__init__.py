"""One file per business event: its schema, its text, its failure rules.

A new kind is a new file here with a subclass of `Event`; routes, OpenAPI and the worker find it by itself.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from notifications.event import Event


def _find() -> Mapping[str, type[Event]]:
    kinds: dict[str, type[Event]] = {}
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{__name__}.{found.name}")
        for member in vars(module).values():
            defined_here = getattr(member, "__module__", None) == module.__name__
            if isinstance(member, type) and issubclass(member, Event) and defined_here:
                kinds[member.kind] = member
    return MappingProxyType(kinds)


KINDS: Mapping[str, type[Event]] = _find()
"""Every kind by its name, `order-shipped` and the like."""
