"""Where signed webhooks go (https://www.standardwebhooks.com)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

URL = re.compile(r"https?://[^\s/?#@]+[^\s#@]*")
SECRET = re.compile(r"(whsec_)?([A-Za-z0-9+/]{4}){5,}[A-Za-z0-9+/]{2,4}={0,2}")
SECRETS = 2  # the one in use, and the one that takes its place: both sign


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address, and the secrets that its receiver may check with."""

    url: str
    secrets: tuple[SecretStr, ...]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Callers' endpoints."""

    default: Endpoint | None = None
    named: Mapping[str, Endpoint] = field(default_factory=dict)

    def of(self, caller: str) -> Endpoint | None:
        """None for a caller who is told nothing."""
        return self.named.get(caller, self.default)


NOBODY_IS_TOLD = Endpoints()


def parse_endpoints(text: str) -> dict[str, Endpoint]:
    """From lines of `caller url secret [secret]`; empty ones and those that begin with # are left out.

    Raises ValueError with one line per mistake, and nothing of what was written there.
    """
    found: dict[str, Endpoint] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        caller, *rest = parts
        secrets = rest[1:]
        if caller in found:
            problems.append(f"line {number}: this caller has an endpoint already")
        elif not rest or not URL.fullmatch(rest[0]):
            problems.append(f"line {number}: the URL must be http or https, without credentials")
        elif not 1 <= len(secrets) <= SECRETS or not all(SECRET.fullmatch(secret) for secret in secrets):
            problems.append(f"line {number}: one or two secrets follow, whsec_ and at least 24 base64 characters")
        else:
            found[caller] = Endpoint(rest[0], tuple(SecretStr(secret) for secret in secrets))
    if problems:
        raise ValueError("; ".join(problems))
    return found
