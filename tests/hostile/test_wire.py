"""Requests that no client would send: none is taken for another one, none is answered 5xx, none is waited for."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from api.connection import NOT_HTTP, TOO_LARGE, TOO_LATE
from api.problems import answer
from tests.hostile.wire import CALLBACK, HUNG_UP, Reply, ask, request, signed, wire
from tests.world import KEY, World

SHIPPED = "/api/order-shipped-sms"
AUTHORIZATION = f"Authorization: Bearer {KEY}"
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
FORM_OF_ONE = {"MessageSid": "SM" + "e" * 32, "MessageStatus": "sent"}


def brief(attack: bytes) -> str:
    return repr(attack.replace(b"Host: api.test\r\n", b""))[2:90]


def refused(reply: Reply) -> bool:
    return reply is HUNG_UP or 400 <= reply.status < 500


def is_problem(reply: Reply) -> bool:
    return (
        reply.headers["content-type"] == "application/problem+json" and json.loads(reply.body)["status"] == reply.status
    )


@pytest.mark.parametrize(
    "attack",
    [
        request(
            "POST", SHIPPED, AUTHORIZATION, JSON, "Content-Length: 2", "Content-Length: 3", body=b"{}", length=False
        ),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Content-Length: 2, 2", body=b"{}", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Content-Length: -1", body=b"{}", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Content-Length: +2", body=b"{}", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Content-Length: 0x2", body=b"{}", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, f"Content-Length: {10**30}", body=b"{}", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Transfer-Encoding : chunked", body=b"0\r\n\r\n", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Transfer-Encoding: xchunked", body=b"0\r\n\r\n", length=False),
        request("POST", SHIPPED, AUTHORIZATION, JSON, "Transfer-Encoding: chunked, identity", body=b"", length=False),
        request("POST", SHIPPED, "Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n", length=False),
        request("POST", SHIPPED, "Transfer-Encoding: chunked", body=b"ffffffffffffffffff\r\n", length=False),
        request("GET", "/healthz", "X-Folded: a\r\n b"),
        request("GET", "/healthz", "X-Nul: a\0b"),
        request("GET", "/healthz", "X-Bare: a\rb"),
        request("GET", "/healthz", "No-Colon"),
        request("GET", "/healthz", ": no name"),
        request("GET", "/healthz", "Spa ce: 1"),
        request("GET", "/health z"),
        request("GET", "/healthz\0"),
        request("GET", "/healthz\xff"),
        request("GET", "healthz"),
        request("GET", "*"),
        request("GET", "/%"),
        request("GET", "http://"),
        request("GET", "http://api.test"),
        request("GET", "//"),
        request("GET", "/healthz/..;/docs"),
        request("GET", "/..;/healthz"),
        request("GET", "/api/..%2f..%2fhealthz"),
        request("CONNECT", "api.test:443"),
        request("PRI", "*"),
        request("JUNK", "/healthz"),
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: a\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 100,
    ],
    ids=brief,
)
async def test_what_is_no_request_is_refused(world: World, attack: bytes) -> None:
    reply = await ask(world, attack)
    assert refused(reply), reply


@pytest.mark.parametrize(
    "attack",
    [
        request("GET", "/healthz", *[f"X-{n}: 1" for n in range(101)]),
        request("GET", "/healthz", "X-Long: " + "x" * 40_000),
        request("GET", "/healthz", "X" * 40_000 + ": 1"),
        request("GET", "/healthz?" + "x" * 40_000),
        request("GET", "/healthz", *[f"X-{n}: {'x' * 900}" for n in range(90)]),
        b"GET /healthz HTTP/1.1\r\nX-Endless: " + b"x" * 1_000_000,
        b"\r\n" * 50_000,
    ],
    ids=brief,
)
async def test_a_head_that_is_too_large_is_refused(world: World, attack: bytes) -> None:
    reply = await ask(world, attack)
    assert reply is HUNG_UP or (reply.status == 431 and is_problem(reply)), reply


async def test_a_large_head_of_an_honest_client_passes(world: World) -> None:
    assert (await ask(world, request("GET", "/healthz", *[f"X-{n}: {'x' * 500}" for n in range(50)]))).status == 200


async def test_what_follows_a_refused_request_is_not_taken_for_another_one(world: World) -> None:
    """Smuggling: the second request stands in the body of the first as a proxy would see it."""
    smuggled = request("GET", "/healthz")
    first = request(
        "POST", SHIPPED, "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + smuggled, length=False
    )
    async with wire(world) as one:
        await one.send(first)
        assert refused(await one.reply())
        assert await one.reply() is HUNG_UP


async def test_requests_in_a_row_are_answered_in_their_order(world: World) -> None:
    async with wire(world) as one:
        await one.send(request("GET", "/healthz") + request("GET", "/nowhere") + request("GET", "/healthz"))
        assert [(await one.reply()).status for _ in range(3)] == [200, 404, 200]


async def test_thousands_of_requests_in_a_row_stop_nobody_else(world: World) -> None:
    async with wire(world) as one:
        await one.send(request("GET", "/healthz") * 2_000)
        assert (await ask(world, request("GET", "/healthz"))).status == 200
        assert [(await one.reply()).status for _ in range(2_000)] == [200] * 2_000


@pytest.mark.parametrize(
    "path",
    [
        "/twilio/%73tatus-callback",
        "/twilio%2fstatus-callback",
        "/twilio/status-callback%00",
        "/twilio/status-callback%20",
        "/twilio/status-callback/",
        "/twilio//status-callback",
        "//twilio/status-callback",
        "/./twilio/status-callback",
        "/x/../twilio/status-callback",
        "/twilio/status-callback;x=1",
        "/TWILIO/status-callback",
        "/twilio/status%2Dcallback",
        "/twilio/status-callback?eventId=another-event",
        "http://evil.example/twilio/status-callback?x",
        "/twilio/ｓtatus-callback",
    ],
)
async def test_no_other_spelling_of_the_path_gets_past_the_signature(world: World, path: str) -> None:
    signature, form = signed(world, CALLBACK, FORM_OF_ONE)
    body = urlencode(form).encode()
    assert (
        await ask(world, request("POST", CALLBACK, FORM, f"X-Twilio-Signature: {signature}", body=body))
    ).status == 204
    for header in (f"X-Twilio-Signature: {signature}", "X-Nothing: 1"):
        reply = await ask(world, request("POST", path.encode().decode("latin-1"), FORM, header, body=body))
        assert reply.status in (400, 403, 404), reply


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 1"],
        ["Forwarded: for=127.0.0.1;host=evil.example;proto=https"],
        ["X-Original-URL: /healthz", "X-Rewrite-URL: /healthz", "X-Forwarded-Prefix: /x", "X-Script-Name: /x"],
        ["X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Via: 1.1 x"],
        ["X-HTTP-Method-Override: GET", "X-Method-Override: DELETE", "X-HTTP-Method: PUT"],
        ["Host: evil.example"],
        ["Connection: X-Twilio-Signature"],
        ["Expect: 100-continue"],
    ],
)
async def test_no_header_changes_what_the_signature_decides(world: World, headers: list[str]) -> None:
    path = CALLBACK + "?eventId=no-such-event"
    signature, form = signed(world, path, FORM_OF_ONE)
    body = urlencode(form).encode()

    async def status(given: str) -> int:
        async with wire(world) as one:
            await one.send(request("POST", path, FORM, f"X-Twilio-Signature: {given}", *headers, body=body))
            reply = await one.reply()
            return (await one.reply() if reply.status == 100 else reply).status

    assert (await status(signature), await status("bm90IGEgc2lnbmF0dXJl")) == (204, 403)


async def test_a_request_to_become_another_protocol_has_no_body_and_so_no_signature(world: World) -> None:
    signature, form = signed(world, CALLBACK, FORM_OF_ONE)
    headers = [FORM, f"X-Twilio-Signature: {signature}", "Upgrade: websocket", "Connection: Upgrade"]
    assert (await ask(world, request("POST", CALLBACK, *headers, body=urlencode(form).encode()))).status == 403


async def test_of_two_signatures_or_keys_the_first_counts_alone(world: World) -> None:
    path = CALLBACK + "?eventId=no-such-event"
    signature, form = signed(world, path, FORM_OF_ONE)
    both = [f"X-Twilio-Signature: {one}" for one in ("bm90IGEgc2lnbmF0dXJl", signature)]
    assert (await ask(world, request("POST", path, FORM, *both, body=urlencode(form).encode()))).status == 403
    keys = ["Authorization: Bearer not-a-key", AUTHORIZATION]
    assert (await ask(world, request("GET", "/api/notifications/no-such-event", *keys))).status == 401
    assert (await ask(world, request("GET", "/api/notifications/no-such-event", *reversed(keys)))).status == 404


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer ", "Basic " + KEY, KEY, "Bearer\t" + KEY[:-1], "Bearer \xff", "bearer " + KEY + ","],
)
async def test_nothing_but_a_key_is_a_key(world: World, authorization: str) -> None:
    reply = await ask(world, request("GET", "/api/notifications/no-such-event", f"Authorization: {authorization}"))
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=x",
        "application/json",
        "text/plain",
        "application/x-www-form-urlencodedx",
        "application/x-www-form-urlencoded; charset=utf-7",
    ],
)
async def test_a_form_of_another_sort_is_not_what_was_signed(world: World, content_type: str) -> None:
    path = CALLBACK + "?eventId=no-such-event"
    signature, form = signed(world, path, FORM_OF_ONE)
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in form.items()
    )
    body = (parts + "--x--\r\n").encode()
    headers = [f"Content-Type: {content_type}", f"X-Twilio-Signature: {signature}"]
    assert (await ask(world, request("POST", path, *headers, body=body))).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{",
        b'{"eventId": NaN}',
        b'{"eventId": Infinity}',
        b'{"deliveryTimeoutSeconds": 1e400}',
        b'{"deliveryTimeoutSeconds": ' + b"9" * 5_000 + b"}",
        b'{"eventId": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"a\\u0000b": "\\u0000"}',
        b"[" * 60_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"eventId": "' + b"x" * 60_000 + b'"}',
        json.dumps({f"a{n}": 1 for n in range(5_500)}).encode(),
        json.dumps({"eventId": "x", "phone": ["+1555"] * 5_000}).encode(),
        json.dumps({"contacts": [{}] * 10_000}).encode(),
        "{}".encode("utf-16"),
        "{}".encode("utf-32"),
    ],
    ids=brief,
)
@pytest.mark.parametrize("path", [SHIPPED, "/api/incident-alert-sms", "/api/batches", "/api/verify/check"])
async def test_a_body_that_is_no_event_is_told_so(world: World, path: str, body: bytes) -> None:
    reply = await ask(world, request("POST", path, AUTHORIZATION, JSON, body=body))
    assert (reply.status, is_problem(reply)) == (400, True)
    assert len(reply.body) < 20_000
    assert b"+1555" not in reply.body


async def test_a_name_of_the_callers_own_making_is_not_repeated(world: World) -> None:
    body = json.dumps({"+15558675310": 1, "<script>": 1, "15558675310": 1, "notAField": 1}).encode()
    reply = await ask(world, request("POST", SHIPPED, AUTHORIZATION, JSON, body=body))
    assert b"5310" not in reply.body
    assert b"script" not in reply.body
    assert b"notAField" in reply.body


async def test_a_batch_of_nests_is_refused(world: World) -> None:
    for body in (
        b"[" * 2_000_000,
        b'{"events":[' + b"[" * 900 + b"]" * 900 + b"]}",
        b'{"events":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ):
        reply = await ask(world, request("POST", "/api/batches", AUTHORIZATION, JSON, body=body))
        assert reply.status in (200, 400), reply
        if reply.status == 200:
            assert [one["httpStatus"] for one in json.loads(reply.body)["results"]] == [400]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity"])
async def test_a_body_is_never_unpacked(world: World, coding: str) -> None:
    bomb = bytes.fromhex("1f8b08000000000000ff") + b"\0" * 1_000
    reply = await ask(world, request("POST", SHIPPED, AUTHORIZATION, JSON, f"Content-Encoding: {coding}", body=bomb))
    assert reply.status == 400


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
async def test_what_a_web_page_may_post_without_asking_is_no_event(world: World, content_type: str) -> None:
    event = json.dumps(world.event()).encode()
    reply = await ask(world, request("POST", SHIPPED, AUTHORIZATION, f"Content-Type: {content_type}", body=event))
    assert reply.status == 400


async def test_a_body_that_is_announced_too_large_is_not_waited_for(world: World) -> None:
    head = f"POST {SHIPPED} HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n".encode()
    async with wire(world) as one:
        await one.send(head)
        assert (await one.reply()).status == 413


async def test_chunks_that_add_up_to_too_much_are_refused(world: World) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    reply = await ask(world, request("POST", SHIPPED, "Transfer-Encoding: chunked", body=chunk * 20, length=False))
    assert reply.status == 413


PERSON = "/api/recipients/+15552999999/consent"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/nowhere", PERSON])
async def test_answers_tell_browsers_and_caches_to_keep_nothing(world: World, path: str) -> None:
    headers = ["Origin: https://evil.example", "Access-Control-Request-Method: POST", AUTHORIZATION]
    for method in ("GET", "OPTIONS"):
        reply = await ask(world, request(method, path, *headers))
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert not {"server", "access-control-allow-origin", "x-powered-by", "set-cookie"} & reply.headers.keys()


async def test_no_address_is_led_to_another_one(world: World) -> None:
    for path in ("/healthz/", "/twilio/inbound/", "//evil.example/", "/docs/"):
        reply = await ask(world, request("GET", path, "X-Forwarded-Host: evil.example"))
        assert (reply.status, "location" in reply.headers) == (404, False)


@pytest.mark.parametrize(
    "event_id",
    [
        "a%2Fb%2Fc%2Fd",
        "abcdef%00",
        "abcdef%0a",
        "abc%20def",
        "%EF%BD%81bcdef",
        "......%2f",
        "%2e%2e%2f%2e%2e%2f",
        "x" * 121,
        "heliograph-retention",
        "temporal-sys-scheduler:heliograph-retention",
        "abcdef'",
        "abcdef%22%20or%201",
    ],
)
@pytest.mark.parametrize(
    "route", ["/api/notifications/{}", "/api/notifications/{}/cancel", "/api/notifications/{}/acknowledge"]
)
async def test_no_path_names_what_is_no_event(world: World, route: str, event_id: str) -> None:
    method = "POST" if route.count("/") > 3 else "GET"
    reply = await ask(world, request(method, route.format(event_id), AUTHORIZATION))
    assert reply.status in (400, 404), reply
    assert event_id.encode() not in reply.body


def test_every_refusal_of_the_connection_is_a_problem_with_a_title() -> None:
    answers: list[dict[str, Any]] = [json.loads(answer(one).body) for one in (NOT_HTTP, TOO_LARGE, TOO_LATE)]
    assert all(one["title"] != "Error" for one in answers)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"\0",
        b'phone,status,source\n"',
        b"phone,status,source\n" + b"x," * 10_000,
        b"phone,status,source\n" + b"x" * 60_000,
        b"phone,status,source,sender\n+15558675310,opted_out,test,a\0b",
        b"phone,status,source\n+15558675310,granted,a\0b",
        "phone,status,source\n+15558675310,opted_out,\u202etest".encode(),
        b"\r" * 1_000,
    ],
    ids=brief,
)
async def test_a_file_of_consents_that_is_none_adds_nothing(world: World, body: bytes) -> None:
    reply = await ask(world, request("POST", "/api/consents.csv", AUTHORIZATION, "Content-Type: text/csv", body=body))
    assert reply.status in (200, 400), reply
    if reply.status == 200:
        told = json.loads(reply.body)
        assert (told["added"], told["known"], len(told["refused"])) == (0, 0, 1)
