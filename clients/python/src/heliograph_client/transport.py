"""HTTP requests that keep to themselves whom they are about."""

import httpx

from heliograph_client.calls import Call
from heliograph_client.version import __version__

CONNECT_WITHIN = 5.0  # seconds
# Less than servers and load balancers keep an idle connection: one that they close may lose the request on its way.
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5)


class PrivateURL(httpx.URL):
    """Reads as its route: httpx writes URLs to its log, and numbers stand in some."""

    def __init__(self, url: httpx.URL, route: str) -> None:
        super().__init__(url)
        self._shown = f"{url.scheme}://{url.netloc.decode()}{route}"

    def __str__(self) -> str:
        return self._shown

    def __repr__(self) -> str:
        return f"URL({self._shown!r})"


def base(url: str) -> str:
    """Raises ValueError."""
    parts = httpx.URL(url)
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo or parts.query or parts.fragment:
        raise ValueError("the base URL must be like https://heliograph.example.com, and hold no credentials")
    return url.rstrip("/")


def headers(key: str | None) -> dict[str, str]:
    """Raises ValueError, without the key in it."""
    told = {"User-Agent": f"heliograph-client/{__version__}", "Accept": "application/json"}
    if key is None:
        return told
    key = key.strip()  # what is read from a file ends with a line break
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key must be printable ASCII without blanks")
    return told | {"Authorization": f"Bearer {key}"}


def request(base_url: str, told: dict[str, str], call: Call[object], timeout: float) -> httpx.Request:
    """Raises ValueError for places that lead elsewhere."""
    made = httpx.Request(
        call.method,
        base_url + call.path,
        params=dict(call.query) or None,
        headers=told | ({"Content-Type": "application/json"} if call.body is not None else {}) | dict(call.headers),
        content=call.body,
        extensions={"timeout": httpx.Timeout(timeout + call.wait, connect=min(timeout, CONNECT_WITHIN)).as_dict()},
    )
    made.url = PrivateURL(made.url, call.route)
    return made
