"""The longest and largest that is let in fits into the columns of both databases."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import FormData

from api.inbound import Inbound
from api.twilio import StatusCallback, read
from notifications.consent import ConsentRules, OptOutScope
from store.consents import Consents
from store.database import Database
from store.timeline import Entry, Timeline

SIDS = st.from_regex(r"(SM|MM)[0-9a-fA-F]{32}", fullmatch=True)
# What a form may hold: it comes as UTF-8.
PARTIES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=60)
CODES = st.sampled_from(["0", "30008", "999999"]) | st.none()
RULES = ConsentRules(scope=OptOutScope.SENDER, senders=(), valid_for=None)


@example("SM" + "0" * 32, "x" * 30, "999999", "ü" * 60)
@given(SIDS, st.from_regex(r"[a-z_]{1,30}", fullmatch=True), CODES, PARTIES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_callback_that_is_read_can_be_written(
    database: Database, sid: str, status: str, code: str | None, party: str
) -> None:
    form = {"MessageSid": sid, "MessageStatus": status, "From": party, "MessagingServiceSid": party[:34]}
    callback = read(StatusCallback, FormData(form | ({"ErrorCode": code} if code else {})))
    told = {"carrier_status": callback.carrier_status, "error_code": callback.error_code}
    entry = Entry("callback", at=datetime.now(UTC), sid=sid, **told)  # type: ignore[arg-type]
    await Timeline(database).callback("x" * 120, callback.report(9_999), entry)


@example("SM" + "0" * 32, "💌" * 60, "stop" * 400)
@given(SIDS, PARTIES, st.text(st.characters(codec="utf-8"), max_size=1600))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_wish_of_anybody_can_be_written(database: Database, sid: str, party: str, body: str) -> None:
    message = read(Inbound, FormData({"MessageSid": sid, "From": party, "To": party, "Body": body}))
    consents = Consents(database, RULES)
    await consents.opted_out("h" * 64, "reply STOP", purpose=None, sender=message.to, reference=message.sid)
