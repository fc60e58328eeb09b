"""Lists as Twilio's 2010-04-01 API pages and filters them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from simulator.errors import TwilioError

SIGNS = ("", "<", ">")


def page(request: Request, name: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The envelope with the rows of the page that is asked for. Raises TwilioError where none can be."""
    query = request.query_params
    try:
        size = min(max(int(query.get("PageSize", "50")), 1), 1000)
        number = max(int(query.get("Page", "0")), 0)
    except ValueError:
        raise TwilioError(20422) from None
    rows = found[number * size : (number + 1) * size]
    kept = {name: value for name, value in query.items() if name not in ("Page", "PageToken")}

    def uri(number: int, token: str | None = None) -> str:
        of = kept | {"PageSize": size, "Page": number} | ({"PageToken": token} if token else {})
        return f"{request.url.path}?{urlencode(of)}"

    more = len(found) > (number + 1) * size
    return {
        name: rows,
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(len(rows) - 1, 0),
        "first_page_uri": uri(0),
        "next_page_uri": uri(number + 1, f"PA{rows[-1]['sid']}") if more else None,
        "previous_page_uri": uri(number - 1, f"PB{rows[0]['sid']}") if number and rows else None,
        "uri": uri(number),
    }


def check_times(query: Mapping[str, str], names: Iterable[str]) -> None:
    """Raises TwilioError where a bound is no time."""
    try:
        for name in names:
            for sign in SIGNS:
                datetime.fromisoformat(query.get(name + sign) or "2000-01-01")
    except ValueError:
        raise TwilioError(20422) from None


def in_bounds(moment: float | None, query: Mapping[str, str], name: str) -> bool:
    """Whether seconds since the epoch are a whole day in UTC (`Name`) or within `Name<` and `Name>`, inclusive.

    What has no time is in no bounds.
    """
    return all(_in_bound(moment, sign, query[name + sign]) for sign in SIGNS if query.get(name + sign))


def _in_bound(moment: float | None, sign: str, wanted: str) -> bool:
    if moment is None:
        return False
    is_day = len(wanted) == 10
    bound = datetime.fromisoformat(wanted)
    if bound.tzinfo is None:
        bound = bound.replace(tzinfo=UTC)
    was = datetime.fromtimestamp(moment, UTC)
    left, right = (was.date(), bound.date()) if is_day else (was, bound)
    return left == right if not sign else left <= right if sign == "<" else left >= right
