"""Who may come in: operators, from Temporal's UI or from our own page, and from no other."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from api.codec.operators import Operators, Session
from api.problems import Problem
from privacy.encryption import KeyedHash
from settings import Settings


class Doors:
    """Where we are reached, who may ask, and the name that our cookie has there."""

    def __init__(self, settings: Settings) -> None:
        self.ui = settings.temporal_ui_url
        self.ours = settings.codec_base_url
        self.ui_origin = origin(settings.temporal_ui_url)
        self.our_origin = origin(settings.codec_base_url)
        self.secure = settings.codec_base_url.startswith("https://")
        self.cookie = "__Host-heliograph-codec" if self.secure else "heliograph-codec"
        self.operators = Operators(settings.operator_keys, KeyedHash(settings.hash_key))

    def session(self, request: Request) -> Session | None:
        return self.operators.of_cookie(request.cookies.get(self.cookie, ""))

    def asker(self, request: Request) -> str | None:
        """The operator; None when it is nobody who may read."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.operators.of_key(key.strip())
        session = self.session(request)
        return session.operator if session else None


def origin(url: str) -> str:
    """As a browser writes it: scheme, host and the port unless it is the scheme's own."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port and parts.port != usual else "")


async def operator(request: Request) -> str:
    """Who asks for clear text: by the key in a header, as the `temporal` command sends it, or by the log-in of his
    browser. Raises Problem 401, and 403 where another page than Temporal's UI asks on his behalf."""
    doors: Doors = request.app.state.doors
    asks = request.headers.get("origin")
    if asks is not None and asks != doors.ui_origin:
        raise Problem(403, "forbidden", "Only Temporal's UI at TEMPORAL_UI_URL may ask.")
    if (found := doors.asker(request)) is None:
        raise Problem(
            401,
            "unauthorized",
            f"Log in at {doors.ours}/login, or send `Authorization: Bearer <operator key>`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found


Operator = Annotated[str, Depends(operator)]


async def of_ours(request: Request) -> Doors:
    """For what only our own page may send. Raises Problem 403."""
    doors: Doors = request.app.state.doors
    if request.headers.get("origin", doors.our_origin) != doors.our_origin:
        raise Problem(403, "forbidden", f"Open {doors.ours}/login: CODEC_URL says that this is where we are.")
    return doors


OfOurs = Annotated[Doors, Depends(of_ours)]
