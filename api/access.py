"""Who calls: API keys, compared in constant time."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import Problem
from settings import Settings

bearer = HTTPBearer(auto_error=False, description="`Authorization: Bearer <key>`, a key of `API_KEYS`")

ANYONE = "development"  # the caller's name where no keys are set, in development on loopback only


class Keys:
    """The callers' keys, as digests of equal length."""

    def __init__(self, settings: Settings) -> None:
        self._open = not settings.api_keys
        self._digests = [(caller, _digest(key.get_secret_value())) for caller, key in settings.api_keys]

    def caller_of(self, presented: str | None) -> str | None:
        """Whose key it is; None when it is nobody's."""
        if self._open:
            return ANYONE
        digest = _digest(presented or "")
        found = None
        for caller, known in self._digests:  # all of them, so that time does not tell which one was near
            if hmac.compare_digest(digest, known):
                found = caller
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()


async def authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> str:
    """The caller's name. Raises Problem 401."""
    keys: Keys = request.app.state.keys
    caller = keys.caller_of(credentials.credentials if credentials else None)
    if caller is None:
        raise Problem(
            401,
            "unauthorized",
            "Send `Authorization: Bearer <key>` with one of the keys in API_KEYS.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


Caller = Annotated[str, Depends(authenticated)]
