"""Server-sent events (HTML, 9.2.6), as far as the API speaks them."""

import json

from heliograph_client.errors import UnexpectedAnswer
from heliograph_client.models import Summary, TimelineEntry
from heliograph_client.wire import read

News = TimelineEntry | Summary


class Story:
    """What was told of a notification so far, over as many connections as it takes."""

    def __init__(self) -> None:
        self.last_id = "0"
        self.ended = False
        self._status: Summary | None = None
        self._rest = b""

    def connected(self) -> None:
        """What the connection before has left unfinished comes anew."""
        self._rest = b""

    def take(self, chunk: bytes) -> list[News]:
        """What is new in it. Raises UnexpectedAnswer."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        return [news for block in blocks if (news := self._news(block)) is not None]

    def _news(self, block: bytes) -> News | None:
        lines = (line.partition(b": ") for line in block.split(b"\n") if not line.startswith(b":"))
        parts = {name: value for name, _, value in lines}
        try:
            data = json.loads(parts.get(b"data", b"null"))
        except ValueError:
            raise UnexpectedAnswer("the stream is not one of Heliograph's") from None
        if b"id" in parts:
            self.last_id = parts[b"id"].decode()
        if parts.get(b"event") == b"entry":
            return read(TimelineEntry, data)
        if parts.get(b"event") != b"status":
            return None
        status = read(Summary, data)
        self.ended = status.status.final
        known, self._status = self._status, status
        return status if known is None or known.status != status.status else None
