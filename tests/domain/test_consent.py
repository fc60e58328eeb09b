"""Which record counts, and how far an opt-out reaches."""

from datetime import UTC, datetime, timedelta

from notifications.consent import ConsentRecord, ConsentRules, ConsentStatus, OptOutScope, opt_out, why_not

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MG, NUMBER = "MG" + "1" * 32, "+15005550006"
ORDERS = "order-updates"


def record(status: str, *, purpose: str = "*", days_ago: float = 1, **fields: object) -> ConsentRecord:
    return ConsentRecord(purpose, ConsentStatus(status), NOW - timedelta(days=days_ago), "test", "test", **fields)  # type: ignore[arg-type]


def refused(*records: ConsentRecord, purpose: str = ORDERS, rules: ConsentRules = ConsentRules()) -> bool:  # noqa: B008
    return why_not(records, purpose, rules, NOW) is not None


def test_without_a_record_there_is_no_consent() -> None:
    assert refused()


def test_the_latest_by_the_time_it_speaks_of_counts_not_the_one_written_last() -> None:
    granted, revoked = record("granted", purpose=ORDERS, days_ago=5), record("revoked", purpose=ORDERS, days_ago=3)
    assert refused(granted, revoked)
    assert refused(revoked, granted)  # an old consent that comes in late
    assert not refused(revoked, record("granted", purpose=ORDERS, days_ago=1))


def test_what_is_said_of_all_purposes_counts_for_each() -> None:
    assert refused(record("granted", purpose=ORDERS, days_ago=2), record("revoked", days_ago=1))
    assert refused(record("granted", purpose=ORDERS, days_ago=2), record("lapsed", days_ago=1))


def test_an_opt_out_is_stronger_than_any_later_consent() -> None:
    assert refused(record("opted_out", days_ago=5), record("granted", purpose=ORDERS, days_ago=1))


def test_an_old_start_that_is_recorded_late_lifts_no_newer_stop() -> None:
    granted = record("granted", purpose=ORDERS, days_ago=9)
    assert refused(granted, record("opted_out", days_ago=1), record("opted_in", days_ago=5))
    assert not refused(granted, record("opted_out", days_ago=5), record("opted_in", days_ago=1))


def test_opted_in_lifts_the_opt_out_and_is_no_consent() -> None:
    lifted = (record("opted_out"), record("opted_in"))
    assert refused(*lifted)
    assert not refused(*lifted, record("granted", purpose=ORDERS))


def test_consent_expires_by_its_own_end_or_by_the_setting() -> None:
    old = record("granted", purpose=ORDERS, days_ago=100)
    assert not refused(old)
    assert refused(old, rules=ConsentRules(valid_for=timedelta(days=90)))
    longer = record("granted", purpose=ORDERS, days_ago=100, expires_at=NOW + timedelta(days=1))
    assert not refused(longer, rules=ConsentRules(valid_for=timedelta(days=90)))


def test_an_opt_out_from_one_sender_leaves_the_others() -> None:
    out = record("opted_out", sender=MG)
    assert opt_out([out], ORDERS, ConsentRules(OptOutScope.SENDER, senders=(MG,)))
    assert not opt_out([out], ORDERS, ConsentRules(OptOutScope.SENDER, senders=(NUMBER,)))


def test_a_start_to_one_sender_lifts_that_ones_opt_out_only() -> None:
    rules = ConsentRules(OptOutScope.SENDER, senders=(MG, NUMBER))
    outs = [record("opted_out", sender=MG), record("opted_out", sender=NUMBER)]
    found = opt_out([*outs, record("opted_in", sender=MG)], ORDERS, rules)
    assert found is not None
    assert found.sender == NUMBER


def test_an_opt_out_of_one_purpose_leaves_the_others() -> None:
    out = record("opted_out", purpose=ORDERS)
    assert opt_out([out], ORDERS, ConsentRules(OptOutScope.PURPOSE))
    assert not opt_out([out], "incidents", ConsentRules(OptOutScope.PURPOSE))
