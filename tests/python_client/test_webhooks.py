"""Webhooks of a running service, checked by the Python client; and what is not one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as some
from standardwebhooks import Webhook

from heliograph_client import CallerWebhook, OperatorWebhook, WebhookEvent, WebhookInvalid, verify_webhook
from tests.receiver import NEXT_SECRET, SECRET
from tests.world import World, another, free_port

OPERATORS_SECRET = "whsec_b3BlcmF0b3JzLXNlY3JldC1mb3ItdGVzdHM="


@dataclass
class Post:
    """One request as it came in."""

    body: bytes
    headers: dict[str, str]


@dataclass
class Inbox:
    """Takes what is posted, as it comes."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append(Post(await request.read(), dict(request.headers)))
        return web.Response(status=204)

    async def until(self, event_id: str) -> Post:
        async with asyncio.timeout(20):
            while True:
                for post in self.posts:
                    if json.loads(post.body)["data"]["eventId"] == event_id:
                        return post
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def inboxes() -> AsyncIterator[tuple[Inbox, Inbox]]:
    """The callers' and the operators'."""
    callers, operators = Inbox(), Inbox()
    app = web.Application()
    app.router.add_post("/callers", callers.take)
    app.router.add_post("/operators", operators.take)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    callers.url, operators.url = f"http://127.0.0.1:{port}/callers", f"http://127.0.0.1:{port}/operators"
    yield callers, operators
    await runner.cleanup()


@pytest.fixture(scope="module")
async def told(
    world: World, inboxes: tuple[Inbox, Inbox], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A world that tells both; the callers' secret is being changed."""
    callers, operators = inboxes
    folder = tmp_path_factory.mktemp("told")
    (folder / "webhooks").write_text(f"shop {callers.url} {NEXT_SECRET} {SECRET}\n")
    async with another(
        world,
        folder,
        events_webhooks_file=folder / "webhooks",
        operations_webhook_url=operators.url,
        operations_webhook_secret=OPERATORS_SECRET,
    ) as other:
        yield other


def known(model: Any) -> set[str]:
    names = (one.name.split("_") for one in fields(model))
    return {first + "".join(other.capitalize() for other in others) for first, *others in names}


async def test_a_delivery_is_told_to_its_caller(told: World, inboxes: tuple[Inbox, Inbox]) -> None:
    event = told.event()
    await told.post(event)
    post = await inboxes[0].until(event["eventId"])
    for secrets in (SECRET, NEXT_SECRET, [SECRET, NEXT_SECRET], ["whsec_AAAA", NEXT_SECRET]):
        webhook = verify_webhook(post.body, post.headers, secrets)
        assert isinstance(webhook, CallerWebhook)
        assert (webhook.type, webhook.event_id) == ("notification.delivered", event["eventId"])
        assert webhook.id == f"{event['eventId']}/1/delivered"
        assert (webhook.status, webhook.status.final, webhook.leg, webhook.error) == ("delivered", True, 1, None)
        assert webhook.sid == webhook.data["sid"]
        assert webhook.timestamp.tzinfo is not None
    assert set(webhook.data) <= known(CallerWebhook)  # nothing is told that has no name here


async def test_a_failure_is_told_to_its_caller_and_to_operators(told: World, inboxes: tuple[Inbox, Inbox]) -> None:
    event = told.event(operatorNote="a note for operators")
    await told.phones.behave(event["phone"], outcome="undelivered", errorCode=30003)
    await told.post(event)
    callers, operators = [await inbox.until(event["eventId"]) for inbox in inboxes]
    webhook = verify_webhook(callers.body, callers.headers, SECRET)
    assert isinstance(webhook, CallerWebhook)
    assert (webhook.type, webhook.error_code) == ("notification.undelivered", 30003)
    assert webhook.error is not None
    assert webhook.error.do
    notice = verify_webhook(operators.body, operators.headers, OPERATORS_SECRET)
    assert isinstance(notice, OperatorWebhook)
    assert (notice.type, notice.reason, notice.caller) == ("notification.escalated", "not_delivered", "shop")
    assert (notice.operator_note, notice.error and notice.error.code) == ("a note for operators", 30003)
    assert notice.masked_phone.endswith(event["phone"][-4:])
    assert "a note" not in repr(notice)
    assert set(notice.data) - {"recipient"} <= known(OperatorWebhook)
    with pytest.raises(WebhookInvalid):
        verify_webhook(operators.body, operators.headers, [SECRET, NEXT_SECRET])


def signed(body: str, *, at: datetime | None = None, webhook_id: str = "a:1/1/delivered") -> Post:
    at = at or datetime.now(UTC)
    headers = {
        "Webhook-Id": webhook_id,
        "WEBHOOK-TIMESTAMP": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(webhook_id, at, body),
    }
    return Post(body.encode(), headers)


def body_of(kind: str = "notification.delivered", **data: Any) -> str:
    told = {"eventId": "order:1", "kind": "order-shipped", "leg": 1, "status": "delivered", **data}
    return json.dumps({"type": kind, "timestamp": "2026-11-24T09:30:00Z", "data": told})


def test_what_is_new_is_tolerated() -> None:
    for body in (
        body_of(color="blue"),
        body_of("notification.teleported", status="teleported"),
        body_of(error={"says": "a", "do": "b", "acts": "c", "url": "d", "mood": "e"}),
    ):
        post = signed(body)
        webhook = verify_webhook(post.body, post.headers, SECRET)
        assert isinstance(webhook, CallerWebhook)
        assert not webhook.status.final or webhook.status == "delivered"
    post = signed(json.dumps({"type": "invoice.paid", "timestamp": "2026-11-24T09:30:00Z", "data": {}}))
    assert type(verify_webhook(post.body, post.headers, SECRET)) is WebhookEvent


def forged(**changes: Any) -> Post:
    post = signed(body_of())
    post.headers = {name.lower(): value for name, value in post.headers.items()} | changes
    post.headers = {name: value for name, value in post.headers.items() if value is not None}
    return post


FORGED: dict[str, Callable[[], Post]] = {  # made when it is looked at: an old one would be refused for its age
    "another body": lambda: Post(body_of(sid="SM1").encode(), signed(body_of()).headers),
    "another id": lambda: forged(**{"webhook-id": "a:1/1/failed"}),
    "another time": lambda: forged(**{"webhook-timestamp": str(int(time.time()) - 60)}),
    "another secret": lambda: forged(
        **{"webhook-signature": Webhook(NEXT_SECRET).sign("a", datetime.now(UTC), body_of())}
    ),
    "no signature": lambda: forged(**{"webhook-signature": ""}),
    "no words of a signature": lambda: forged(**{"webhook-signature": "v1 v1, v1,===, ,, v1,\u00e4 \ud800"}),
    "another version": lambda: forged(
        **{"webhook-signature": forged().headers["webhook-signature"].replace("v1,", "v2,")}
    ),
    "no header of the signature": lambda: forged(**{"webhook-signature": None}),
    "no header of the id": lambda: forged(**{"webhook-id": None}),
    "no header of the time": lambda: forged(**{"webhook-timestamp": None}),
    "a time that is none": lambda: forged(**{"webhook-timestamp": "soon"}),
    "a time in other digits": lambda: forged(**{"webhook-timestamp": "\u0661"}),
    "a time without end": lambda: forged(**{"webhook-timestamp": "9" * 5_000}),
    "an old one": lambda: signed(body_of(), at=datetime.now(UTC) - timedelta(hours=1)),
    "one of the future": lambda: signed(body_of(), at=datetime.now(UTC) + timedelta(hours=1)),
    "no JSON": lambda: signed("notification.delivered"),
    "no object": lambda: signed("[]"),
    "no data": lambda: signed('{"type": "notification.delivered", "timestamp": "2026-11-24T09:30:00Z"}'),
    "no time": lambda: signed(body_of().replace("2026-11-24", "tomorrow")),
    "nothing to operators": lambda: signed(body_of("notification.escalated")),
}


@pytest.mark.parametrize("how", FORGED)
def test_what_is_not_from_heliograph_is_refused(how: str) -> None:
    post = FORGED[how]()
    with pytest.raises(WebhookInvalid):
        verify_webhook(post.body, post.headers, [SECRET])


def test_how_far_clocks_may_be_apart_is_the_receivers_to_say() -> None:
    old = signed(body_of(), at=datetime.now(UTC) - timedelta(minutes=6))
    assert verify_webhook(old.body, old.headers, SECRET, tolerance=timedelta(minutes=10))
    young = signed(body_of(), at=datetime.now(UTC) - timedelta(seconds=10))
    with pytest.raises(WebhookInvalid):
        verify_webhook(young.body, young.headers, SECRET, tolerance=timedelta(seconds=5))


@pytest.mark.parametrize("secrets", ["", "whsec_", "whsec_%%%", [], ["whsec_ä"]])
def test_a_secret_that_is_none_is_a_mistake_of_ones_own(secrets: Any) -> None:
    post = signed(body_of())
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(post.body, post.headers, secrets)


@given(note=some.text(max_size=200), webhook_id=some.from_regex(r"[A-Za-z0-9._:@/-]{1,140}", fullmatch=True))
def test_it_agrees_with_the_standards_own_library(note: str, webhook_id: str) -> None:
    body = json.dumps(json.loads(body_of(sid=note)), ensure_ascii=False)
    try:
        body.encode()
    except UnicodeEncodeError:
        return
    post = signed(body, webhook_id=webhook_id)
    webhook = verify_webhook(post.body, post.headers, SECRET)
    assert (webhook.id, webhook.data["sid"]) == (webhook_id, note)
