"""The file of callers' keys: digests only, two keys a caller, every mistake told and nothing of it repeated."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.rates import Rates
from notifications.access import (
    EVERYTHING,
    Scope,
    WrongKeys,
    check_together,
    digest_of,
    line_of,
    new_key,
    of_environment,
    parse_age,
    parse_keys,
    parse_scopes,
    read_keys,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32


def problems(text: str) -> list[str]:
    with pytest.raises(WrongKeys) as wrong:
        parse_keys(text)
    return wrong.value.problems


def test_a_key_is_random_and_known_by_its_beginning() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"hgk_[A-Za-z0-9]{43}", key) for key in keys)


def test_the_line_of_a_key_reads_as_it_was_meant() -> None:
    key, ends = new_key(), NOW + timedelta(days=90)
    line = line_of(key, "shop", [Scope.READ, Scope.SEND], ends, 2.5)
    assert key not in line
    (read,) = parse_keys(line)
    assert (read.caller, read.scopes, read.expires_at, read.rate) == ("shop", {Scope.SEND, Scope.READ}, ends, 2.5)
    assert read.digest == digest_of(key.encode())
    assert read.id in line
    assert (read.live(ends - timedelta(seconds=1)), read.live(ends)) == (True, False)


def test_comments_and_blank_lines_are_passed_over() -> None:
    text = f"\ufeff# who\n\n   # indented\r\n\tshop   {DIGEST}\tsend  \r\n"
    (key,) = parse_keys(text.removeprefix("\ufeff"))
    assert (key.caller, key.scopes, key.expires_at, key.rate) == ("shop", {Scope.SEND}, None, None)
    assert parse_keys("") == parse_keys("#\n") == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("shop", "must be: caller sha256:<digest> scope,scope"),
        (f"shop {DIGEST}", "must be: caller sha256:<digest> scope,scope"),
        (f"sh/op {DIGEST} send", "callers are named"),
        (f"{'x' * 41} {DIGEST} send", "callers are named"),
        ("shop hgk_" + "s3cret" * 8 + " send", "never the key itself"),
        (f"shop {DIGEST.upper()} send", "sha256: and 64 hex digits"),
        (f"shop {DIGEST}0 send", "sha256: and 64 hex digits"),
        (f"shop {DIGEST} sned", "scopes are send, read, operate, erase, verify"),
        (f"shop {DIGEST} send,", "scopes are"),
        (f"shop {DIGEST} send, read", "scopes are"),
        (f"shop {DIGEST} send expires=2026-12-01", "date and time with its offset"),
        (f"shop {DIGEST} send expires=2026-12-01T00:00:00", "date and time with its offset"),
        (f"shop {DIGEST} send expires", "date and time with its offset"),
        (f"shop {DIGEST} send rate=0", "rate must be"),
        (f"shop {DIGEST} send rate=nan", "rate must be"),
        (f"shop {DIGEST} send rate=inf", "rate must be"),
        (f"shop {DIGEST} send rate=-1", "rate must be"),
        (f"shop {DIGEST} send rate", "rate must be"),
        (f"shop {DIGEST} send rate=1 rate=2", "each once"),
        (f"shop {DIGEST} send burst=1", "each once"),
        (f"shop {DIGEST} send read", "each once"),
    ],
)
def test_a_mistake_is_told_by_its_line_and_not_repeated(line: str, says: str) -> None:
    (problem,) = problems(f"# a file\nfine {'sha256:' + 'cd' * 32} read\n{line}\n")
    assert problem.startswith("line 3: ")
    assert says in problem
    assert not any(word in problem for word in line.split() if len(word) > 16)


def test_every_line_with_a_mistake_is_told() -> None:
    assert [problem[:7] for problem in problems(f"a\n\nb {DIGEST} x\nc {DIGEST} send\n")] == ["line 1:", "line 3:"]


def test_a_caller_has_two_live_keys_and_no_third() -> None:
    lines = [line_of(new_key(), "shop", [Scope.SEND]) for _ in range(2)]
    old = [line_of(new_key(), "shop", [Scope.SEND], NOW - timedelta(days=day)) for day in range(3)]
    other = [line_of(new_key(), "ops", [Scope.OPERATE])]
    check_together(parse_keys("\n".join(lines + old + other)), NOW)
    both = of_environment([("shop", "third-key")]) + parse_keys("\n".join(lines + other))
    with pytest.raises(WrongKeys, match="shop has 3 keys that are live; a caller has at most 2"):
        check_together(both, NOW)


@pytest.mark.parametrize(("others", "who"), [("shop", "for shop"), ("ops", "for shop and ops")])
def test_a_key_stands_there_once(others: str, who: str) -> None:
    key = "one-key-for-two"
    with pytest.raises(WrongKeys, match=f"there twice, {who}"):
        check_together([*of_environment([("shop", key)]), *parse_keys(line_of(key, others, EVERYTHING))], NOW)


def test_what_a_person_made_up_cannot_be_tried_against_its_id() -> None:
    keys = of_environment([("shop", "hunter2hunter2"), ("ops", "correct horse"), ("shop", "battery staple")])
    assert [key.id for key in keys] == ["API_KEYS-1", "API_KEYS-1", "API_KEYS-2"]
    assert all(key.scopes == EVERYTHING for key in keys)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for content, says in ((b"\xff\xfe", "not UTF-8"), (b"#" * 1_048_577, "more than"), (None, "no file")):
        path = tmp_path / "keys"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(WrongKeys, match=says):
            read_keys(path)
    with pytest.raises(WrongKeys, match="no file"):
        read_keys(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf# an editor's mark at the beginning\n")
    assert read_keys(path) == []


@pytest.mark.parametrize("wrong", ["", "90", "d", "0d", "-1d", "1w", "99999d", "1d2h", "१d"])
def test_ages_that_are_none(wrong: str) -> None:
    with pytest.raises(ValueError, match="90d, 12h or 30m"):
        parse_age(wrong)


def test_ages() -> None:
    assert [parse_age(text) for text in ("90d", "12h", "30m")] == [
        timedelta(days=90), timedelta(hours=12), timedelta(minutes=30),
    ]  # fmt: skip
    assert parse_scopes("erase,send") == {Scope.ERASE, Scope.SEND}


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_as_many_calls_as_a_second_brings_and_then_one_by_one() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert [rates.take("shop", 4) for _ in range(5)] == [None, None, None, None, 1]
    clock.now += 0.25
    assert [rates.take("shop", 4) for _ in range(2)] == [None, 1]
    clock.now += 3_600
    assert [rates.take("shop", 4) for _ in range(5)].count(None) == 4


def test_less_than_one_a_second() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert [rates.take("shop", 0.1) for _ in range(2)] == [None, 10]
    clock.now += 9.5
    assert rates.take("shop", 0.1) == 1
    clock.now += 0.5
    assert rates.take("shop", 0.1) is None


def test_what_was_taken_at_once_is_paid_for_before_the_next_call() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert rates.take("shop", 10) is None
    rates.owe("shop", 999)
    assert rates.take("shop", 10) == 100
    clock.now += 99
    assert rates.take("shop", 10) == 1
    clock.now += 1
    assert rates.take("shop", 10) is None


def test_over_a_long_time_it_is_the_rate_whatever_is_tried_in_between() -> None:
    clock = Clock()
    rates = Rates(clock)
    taken = 0
    for _ in range(10_000):
        clock.now += 0.01
        taken += rates.take("shop", 7) is None
    assert 700 <= taken <= 707
