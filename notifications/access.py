"""Who may call, and for what: scopes, and the file that holds callers' keys as digests."""

import hashlib
import math
import re
import secrets
import string
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from notifications.fields import timestamp

KEY_PREFIX = "hgk_"  # people, and scanners of repositories, know a lost key by it
SECRET_CHARACTERS = 43  # of 62, so 256 bits
LIVE_KEYS = 2  # of one caller: the one in use, and the one that takes its place
MAX_FILE_BYTES = 1_048_576
RATES = "a number of calls per second above 0 and up to 100000"

_CALLER = re.compile(r"[A-Za-z0-9._-]{1,40}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_AGE = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Scope(StrEnum):
    """What a key may be used for. Reading and operating reach every caller's events, as operators need it."""

    SEND = "send"
    """Post events: one, a batch, a dry run."""
    READ = "read"
    """Ask what became of an event, and what a recipient has agreed to."""
    OPERATE = "operate"
    """Cancel, reschedule, resend, acknowledge; record consent; read the audit log."""
    ERASE = "erase"
    """Forget a recipient."""
    VERIFY = "verify"
    """Send and check login codes."""


EVERYTHING = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a caller's key; not the key."""

    caller: str
    digest: bytes
    id: str
    """What the audit log calls it: the digest's first 8 hex digits, by which its line in the file is found."""
    scopes: frozenset[Scope]
    expires_at: datetime | None = None
    rate: float | None = None
    """Calls per second; None for what CALLER_RATE_PER_SECOND says."""

    def live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


class WrongKeys(Exception):
    """The keys cannot be used; `problems` has one line per mistake and nothing of what was written there."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def digest_of(key: bytes) -> bytes:
    """What stands for a key.

    A plain SHA-256 is right for keys that a machine has drawn: of 256 random bits nothing can be guessed, whatever
    a guess costs. A slow, salted hash protects what people have made up, and would cost every request its time.
    """
    return hashlib.sha256(key).digest()


def new_key() -> str:
    """A key that nobody has had."""
    alphabet = string.ascii_letters + string.digits
    return KEY_PREFIX + "".join(secrets.choice(alphabet) for _ in range(SECRET_CHARACTERS))


def line_of(
    key: str, caller: str, scopes: Iterable[Scope], expires_at: datetime | None = None, rate: float | None = None
) -> str:
    """The line of the file that lets a key in."""
    wanted = frozenset(scopes)
    parts = [caller, f"sha256:{digest_of(key.encode()).hex()}", ",".join(scope for scope in Scope if scope in wanted)]
    if expires_at is not None:
        parts.append(f"expires={expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
    if rate is not None:
        parts.append(f"rate={rate:g}")
    return " ".join(parts)


def of_environment(pairs: Iterable[tuple[str, str]]) -> list[Key]:
    """The keys of `API_KEYS`: every scope, for ever.

    They are told apart by their place. A digest would do for a random key, but these may be made up by people, and
    who reads the audit log must not be able to try guesses on them.
    """
    place: Counter[str] = Counter()
    keys = []
    for caller, key in pairs:
        place[caller] += 1
        keys.append(
            Key(caller, digest_of(key.encode(errors="surrogateescape")), f"API_KEYS-{place[caller]}", EVERYTHING)
        )
    return keys


def read_keys(path: Path) -> list[Key]:
    """The keys of a file. Raises WrongKeys."""
    try:
        if not path.is_file():
            raise WrongKeys(["is no file that can be read"])
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as failure:
        raise WrongKeys([f"cannot be read: {failure.strerror}"]) from None
    if len(content) > MAX_FILE_BYTES:
        raise WrongKeys([f"has more than {MAX_FILE_BYTES} bytes"])
    try:
        return parse_keys(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise WrongKeys(["is not UTF-8 text"]) from None


def parse_keys(text: str) -> list[Key]:
    """One key per line: `caller sha256:<64 hex digits> scope,scope [expires=<time>] [rate=<per second>]`.

    Blank lines and those that begin with # are passed over. Raises WrongKeys.
    """
    keys, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            keys.append(_key(words))
        except ValueError as wrong:
            problems.append(f"line {number}: {wrong}")
    if problems:
        raise WrongKeys(problems)
    return keys


def check_together(keys: Iterable[Key], now: datetime) -> None:
    """No key twice, and no caller with more than two that are live. Raises WrongKeys."""
    keys = list(keys)
    problems = []
    seen: dict[bytes, Key] = {}
    for key in keys:
        if (first := seen.setdefault(key.digest, key)) is not key:
            who = f"{first.caller} and {key.caller}" if first.caller != key.caller else key.caller
            problems.append(f"one key is there twice, for {who}")
    live = Counter(key.caller for key in seen.values() if key.live(now))
    problems += [
        f"{caller} has {count} keys that are live; a caller has at most {LIVE_KEYS}"
        for caller, count in sorted(live.items())
        if count > LIVE_KEYS
    ]
    if problems:
        raise WrongKeys(problems)


def parse_caller(text: str) -> str:
    """Raises ValueError."""
    if not _CALLER.fullmatch(text):
        raise ValueError("callers are named by 1 to 40 of A-Z a-z 0-9 . _ -")
    return text


def parse_scopes(text: str) -> frozenset[Scope]:
    """Raises ValueError."""
    try:
        return frozenset(Scope(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"scopes are {', '.join(Scope)}, with commas between and no spaces") from None


def parse_age(text: str) -> timedelta:
    """`90d`, `12h` or `30m`. Raises ValueError."""
    if (found := _AGE.fullmatch(text)) is None:
        raise ValueError("must be a number of days, hours or minutes such as 90d, 12h or 30m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def parse_rate(text: str) -> float:
    """Raises ValueError."""
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= 100_000:
        raise ValueError(f"rate must be {RATES}")
    return rate


def _key(words: list[str]) -> Key:
    """Raises ValueError, with nothing of the line in it: somebody may have put the key itself there."""
    if len(words) < 3:
        raise ValueError("must be: caller sha256:<digest> scope,scope; `heliograph key` makes such lines")
    caller, written, scopes, *options = words
    parse_caller(caller)
    if (digest := _DIGEST.fullmatch(written)) is None:
        raise ValueError("the second word must be sha256: and 64 hex digits, never the key itself")
    allowed = parse_scopes(scopes)
    given = dict.fromkeys(name.partition("=")[0] for name in options)
    if len(given) < len(options) or not given.keys() <= {"expires", "rate"}:
        raise ValueError("after the scopes may stand expires=<time> and rate=<per second>, each once")
    values = {name: value for name, _, value in (option.partition("=") for option in options)}
    try:
        expires_at = timestamp(values["expires"]).astimezone(UTC) if "expires" in values else None
    except ValueError:
        raise ValueError("expires must be a date and time with its offset, such as 2026-11-23T09:30:00Z") from None
    return Key(
        caller=caller,
        digest=bytes.fromhex(digest[1]),
        id=digest[1][:8],
        scopes=allowed,
        expires_at=expires_at,
        rate=parse_rate(values["rate"]) if "rate" in values else None,
    )
