"""Who may read clear text: operators with a key of CODEC_KEYS, and for hours the browser in which one was entered."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from privacy.encryption import KeyedHash

SESSION = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Session:
    """An operator's, in one browser."""

    operator: str
    until: datetime


class Operators:
    """Keys are compared in constant time. Whose key is taken out of CODEC_KEYS is logged out with it."""

    def __init__(
        self,
        keys: Sequence[tuple[str, str]],
        hashes: KeyedHash,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._digests = [(operator, hashlib.sha256(key.encode()).hexdigest()) for operator, key in keys]
        self._hashes = hashes
        self._clock = clock

    def of_key(self, presented: str) -> str | None:
        """Whose key it is; None when it is nobody's."""
        found = self._known(presented)
        return found[0] if found else None

    def open(self, presented: str) -> tuple[str, Session] | None:
        """What the browser keeps, and what it stands for; None when it is nobody's key."""
        if (found := self._known(presented)) is None:
            return None
        operator, digest = found
        until = (self._clock() + SESSION).replace(microsecond=0)
        stamp = str(int(until.timestamp()))
        return f"{operator}:{stamp}:{self._sign(operator, stamp, digest)}", Session(operator, until)

    def of_cookie(self, cookie: str) -> Session | None:
        """None for one that was never given out, has expired, or whose key is gone."""
        operator, _, rest = cookie.partition(":")
        stamp, _, signature = rest.partition(":")
        signed = False
        for known, digest in self._digests:
            expected = self._sign(operator, stamp, digest).encode()
            signed |= known == operator and hmac.compare_digest(expected, signature.encode(errors="replace"))
        if not signed:
            return None
        until = datetime.fromtimestamp(int(stamp), UTC)
        return Session(operator, until) if self._clock() < until else None

    def _known(self, presented: str) -> tuple[str, str] | None:
        digest = hashlib.sha256(presented.encode(errors="replace")).hexdigest()
        found = None
        for operator, known in self._digests:  # all of them, so that time does not tell which one was near
            if hmac.compare_digest(digest, known):
                found = operator, known
        return found

    def _sign(self, operator: str, stamp: str, digest: str) -> str:
        return self._hashes.of("codec session", f"{operator}\0{stamp}\0{digest}")
