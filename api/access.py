"""Who calls, and what for: API keys compared in constant time, their scopes, and how often they may call."""

import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from api.problems import Problem, responses
from api.rates import Rates
from notifications.access import EVERYTHING, Key, Scope, WrongKeys, digest_of
from settings import Settings
from telemetry import metrics

ANYONE = Key("development", b"", "none", EVERYTHING)  # where no keys are set, in development on loopback only
LOOK_EVERY = 1.0  # seconds between looks at the file

bearer = HTTPBearer(auto_error=False, description="`Authorization: Bearer <key>`, a key of API_KEYS or API_KEYS_FILE")
log = structlog.stdlib.get_logger("heliograph.access")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by which of his keys."""

    name: str
    key_id: str


class Keys:
    """The callers' keys, as digests of equal length. The file is read again when it has changed."""

    def __init__(self, settings: Settings) -> None:
        """Raises WrongKeys."""
        self._settings = settings
        self._looked_at = time.monotonic()
        self._stamp = self._look()  # before it is read: what is written meanwhile is seen at the next look
        self._keys = settings.callers_keys()

    def key_of(self, presented: str) -> Key | None:
        """The live key that `presented` is, as it stood in the header; None when it is nobody's."""
        if self._settings.open_to_anyone:
            return ANYONE
        self._keep_up()
        # Headers come decoded as Latin-1, whatever they were written in.
        digest = digest_of(presented.encode("latin-1", errors="replace"))
        found = None
        for key in self._keys:  # all of them, so that time does not tell which one was near
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found if found is not None and found.live(datetime.now(UTC)) else None

    def caller_of(self, presented: str) -> str:
        """Whose live key it is; empty when it is nobody's."""
        key = self.key_of(presented)
        return key.caller if key is not None else ""

    def live(self) -> int:
        """How many let somebody in now."""
        now = datetime.now(UTC)
        return sum(key.live(now) for key in self._keys)

    def _keep_up(self) -> None:
        if time.monotonic() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = time.monotonic()
        if (stamp := self._look()) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = self._settings.callers_keys()
        except WrongKeys as wrong:
            log.error(
                "API_KEYS_FILE has changed and cannot be used; the keys from before stay", problems=wrong.problems
            )
        else:
            log.info("API_KEYS_FILE was read again", live_keys=self.live())

    def _look(self) -> tuple[int, ...] | None:
        if self._settings.api_keys_file is None:
            return None
        try:
            found = os.stat(self._settings.api_keys_file)
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino


class Access:
    """Lets callers in."""

    def __init__(self, settings: Settings) -> None:
        """Raises WrongKeys."""
        self.keys = Keys(settings)
        self._rate = settings.caller_rate_per_second
        self._rates = Rates()

    def admit(self, presented: str, needed: Scope) -> Caller:
        """Raises Problem: 401 for nobody's key, 403 for a missing scope, 429 for too many calls."""
        key = self.keys.key_of(presented)
        if key is None:
            raise Problem(
                401,
                "unauthorized",
                "Send `Authorization: Bearer <key>` with a key of API_KEYS or API_KEYS_FILE that is still valid.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if needed not in key.scopes:
            log.warning("refused: the key has not the scope", caller=key.caller, key_id=key.id, scope=needed.value)
            raise Problem(
                403,
                "missing_scope",
                f"This needs a key with the scope `{needed}`. Nothing was done.",
                details={"scope": needed.value},
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'},
            )
        rate = self._rate if key.rate is None else key.rate
        if rate is not None and (wait := self._rates.take(key.caller, rate)) is not None:
            metrics.RATE_LIMITED.labels(caller=key.caller).inc()
            raise Problem(
                429,
                "too_many_requests",
                f"{key.caller} may call {rate:g} times a second. Nothing was done; try again in {wait} s.",
                details={"retryAfterSeconds": wait},
                headers={"Retry-After": str(wait)},
            )
        return Caller(key.caller, key.id)

    def counts_as(self, caller: Caller, calls: int) -> None:
        """A call that was let in stands for so many."""
        self._rates.owe(caller.name, calls - 1)


async def authenticated(
    request: Request,
    needed: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)],
) -> Caller:
    """Who calls, with a key of the scope that the route names. Raises Problem."""
    access: Access = request.app.state.access
    (scope,) = needed.scopes
    return access.admit(credentials.credentials if credentials else "", Scope(scope))


def presented(scope: Mapping[str, Any]) -> str:
    """The key of an ASGI request, `Authorization: Bearer <key>`, whether it is one or not; empty without."""
    header: bytes = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, key = header.decode("latin-1").partition(" ")
    return key if scheme.lower() == "bearer" else ""


# What a route asks for, by the type of its `caller`.
Sender = Annotated[Caller, Security(authenticated, scopes=[Scope.SEND])]
Reader = Annotated[Caller, Security(authenticated, scopes=[Scope.READ])]
Operator = Annotated[Caller, Security(authenticated, scopes=[Scope.OPERATE])]
Eraser = Annotated[Caller, Security(authenticated, scopes=[Scope.ERASE])]
Verifier = Annotated[Caller, Security(authenticated, scopes=[Scope.VERIFY])]


def describe_scopes(app: FastAPI) -> None:
    """Each route's scope in the OpenAPI document, and what answers those who have it not, or call too often."""
    document = app.openapi()
    for operation in (one for path in document["paths"].values() for one in path.values()):
        for scope in scopes_of(operation):
            operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scope}`.".strip()
            for status, response in responses(401, 403, 429).items():
                told = {name: part for name, part in response.items() if name != "model"}
                operation["responses"].setdefault(str(status), told)


def scopes_of(operation: dict[str, Any]) -> list[str]:
    """The scopes that a route of the OpenAPI document asks for."""
    return [scope for scheme in operation.get("security", []) for scope in scheme.get(bearer.scheme_name, [])]
