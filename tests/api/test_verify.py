"""Login checks: Twilio's answers in plain words, no code kept anywhere, no pumping."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.world import KEY, Phones, World, free_port, migrated, serving, settings_for


class Login:
    """One API for login checks, with limits that tests can reach."""

    def __init__(self, url: str, phones: Phones, database: Path) -> None:
        self.http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)
        self.phones = phones
        self.database = database

    async def start(self, phone: str, **fields: Any) -> httpx.Response:
        return await self.http.post("/api/verify/start", json={"phone": phone} | fields)

    async def check(self, phone: str, code: str) -> httpx.Response:
        return await self.http.post("/api/verify/check", json={"phone": phone, "code": code})

    async def told(self, phone: str) -> dict[str, Any]:
        """What the recipient reads, and how often he was sent it."""
        answer = await self.phones._http.get(f"/simulator/verifications/{phone}")
        return answer.json()


LIMITS = {
    "verify_starts_per_number": 7, "verify_starts_per_prefix": 12, "verify_starts_per_caller": 1000,
    "verify_checks_per_number": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
async def login(world: World, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("login")
    settings = settings_for(
        folder,
        port=free_port(),
        temporal_address="127.0.0.1:1",  # login checks need no Temporal
        simulator_port=world.settings.simulator_port,
        **LIMITS,
    )
    await migrated(settings.database)
    async with serving(settings):
        login = Login(f"http://127.0.0.1:{settings.port}", world.phones, folder)
        yield login
        await login.http.aclose()


numbers = iter(range(1, 9000))


@pytest.fixture
def phone() -> str:
    return f"+1555{4_000_000 + 10_000 * (number := next(numbers)) + number}"


async def test_the_right_code_is_approved(login: Login, phone: str) -> None:
    started = await login.start(phone)
    assert started.status_code == 202
    assert started.json().keys() == {"sid", "status"}
    assert (started.json()["sid"][:2], started.json()["status"]) == ("VE", "pending")
    checked = await login.check(phone, (await login.told(phone))["code"])
    assert (checked.status_code, checked.json()) == (200, {"approved": True, "status": "approved"})


async def test_a_wrong_code_is_no_error(login: Login, phone: str) -> None:
    await login.start(phone)
    right = (await login.told(phone))["code"]
    checked = await login.check(phone, "0000" if right != "0000" else "1111")
    assert (checked.status_code, checked.json()) == (200, {"approved": False, "status": "pending"})
    assert (await login.check(phone, right)).json()["approved"] is True


async def test_asked_again_the_same_code_comes_again(login: Login, phone: str) -> None:
    first = (await login.start(phone)).json()["sid"]
    code = (await login.told(phone))["code"]
    assert (await login.start(phone, channel="call", locale="de")).json()["sid"] == first
    told = await login.told(phone)
    assert (told["code"], told["sends"], told["channel"]) == (code, 2, "call")


async def test_a_national_number_with_its_region_is_the_same_number(login: Login, phone: str) -> None:
    national = f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    assert (await login.start(national, region="US")).status_code == 202
    assert (await login.told(phone))["sends"] == 1


async def test_an_approved_and_an_expired_code_have_ended(login: Login, phone: str) -> None:
    assert (await login.check(phone, "123456")).json()["error"] == "verification_ended"
    await login.start(phone)
    code = (await login.told(phone))["code"]
    await login.check(phone, code)
    again = await login.check(phone, code)
    assert (again.status_code, again.json()["error"]) == (404, "verification_ended")
    assert "new verification" in again.json()["details"]["do"]
    await login.start(phone)
    await login.phones._http.delete(f"/simulator/verifications/{phone}")
    assert (await login.check(phone, code)).status_code == 404


async def test_five_checks_and_five_sends_are_enough(login: Login, phone: str) -> None:
    for _ in range(5):
        assert (await login.start(phone)).status_code == 202
    sixth = await login.start(phone)
    assert (sixth.status_code, sixth.json()["error"]) == (429, "too_many_sends")
    right = (await login.told(phone))["code"]
    wrong = "0000" if right != "0000" else "1111"
    for _ in range(5):
        assert (await login.check(phone, wrong)).json()["approved"] is False
    sixth = await login.check(phone, right)
    assert (sixth.status_code, sixth.json()["error"]) == (429, "too_many_checks")
    assert int(sixth.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (60203, 429, "too_many_sends"),
        (60212, 429, "too_many_requests"),
        (60205, 400, "landline"),
        (60410, 403, "prefix_blocked"),
        (60605, 403, "country_not_enabled"),
        (60223, 502, "verify_failed"),
        (20003, 502, "verify_failed"),
    ],
)
async def test_twilios_refusals_say_what_to_do(login: Login, phone: str, code: int, status: int, error: str) -> None:
    await login.phones.behave(phone, verifyError=code)
    answer = await login.start(phone)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert (answer.json()["details"]["errorCode"], bool(answer.json()["details"]["do"])) == (code, True)
    assert phone[1:] not in answer.text


@pytest.mark.parametrize("fault", ["reset", "500", "hang"])
async def test_a_start_whose_answer_was_lost_is_looked_up(login: Login, phone: str, fault: str) -> None:
    await login.phones.behave(phone, verifyStart=[{"fault": fault, "accept": True, "seconds": 2}])
    assert (await login.start(phone)).status_code == 202
    assert (await login.told(phone))["sends"] == 1


async def test_a_start_that_nobody_knows_of_is_told_so(login: Login, phone: str) -> None:
    await login.phones.behave(phone, verifyStart=[{"fault": "reset"}])
    answer = await login.start(phone)
    assert (answer.status_code, answer.json()["error"]) == (503, "outcome_unknown")
    assert (await login.start(phone)).status_code == 202


@pytest.mark.parametrize("fault", ["reset", "500"])
async def test_a_check_whose_answer_was_lost_is_not_simply_repeated(login: Login, phone: str, fault: str) -> None:
    await login.start(phone)
    code = (await login.told(phone))["code"]
    await login.phones.behave(phone, verifyCheck=[{"fault": fault}])
    answer = await login.check(phone, code)
    assert (answer.status_code, answer.json()["error"]) == (503, "outcome_unknown")
    assert (await login.told(phone))["checks"] == 0  # one attempt would be gone if we had tried again by ourselves
    assert (await login.check(phone, code)).json()["approved"] is True


async def test_ten_api_processes_share_the_limit_of_a_number(login: Login, phone: str) -> None:
    answers = await asyncio.gather(*(login.start(phone) for _ in range(12)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(202) == 5
    ours = [answer for answer in answers if answer.json().get("error") == "too_many_requests"]
    assert len(ours) == 12 - LIMITS["verify_starts_per_number"]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in ours)


async def test_a_range_of_numbers_is_limited_as_a_whole(login: Login) -> None:
    """SMS pumping goes through a range of numbers, each of them once."""
    answers = [await login.start(f"+1555777{n:04}") for n in range(15)]
    assert [answer.status_code for answer in answers] == [202] * 12 + [429] * 3


async def test_checks_are_limited_too(login: Login, phone: str) -> None:
    answers = [await login.check(phone, "123456") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [404] * 8 + [429]


@pytest.mark.parametrize(
    "wrong", [{"code": "123"}, {"code": "12345678901"}, {"code": "12a4"}, {"code": 123456}, {"phone": "nonsense"}, {}]
)
async def test_bad_input_is_told_and_the_code_not_repeated(login: Login, phone: str, wrong: dict[str, Any]) -> None:
    body = {"phone": phone, "code": "424242"} | wrong if wrong else {"phone": phone}
    answer = await login.http.post("/api/verify/check", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert str(body.get("code", "424242")) not in answer.text or len(str(body["code"])) < 4
    assert (await login.http.post("/api/verify/start", json={"phone": phone, "channel": "pigeon"})).status_code == 400


async def test_nobody_checks_without_a_key(login: Login, phone: str) -> None:
    for path in ("start", "check"):
        answer = await login.http.post(
            f"/api/verify/{path}", json={"phone": phone, "code": "123456"}, headers={"Authorization": "Bearer no"}
        )
        assert answer.status_code == 401


async def test_no_code_and_no_number_is_written_anywhere(
    login: Login, phone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await login.start(phone)
    code = (await login.told(phone))["code"]
    await login.check(phone, code)
    logged = capsys.readouterr().out
    assert code not in logged
    assert phone[1:] not in logged
    assert f"***{phone[-4:]}" in logged or logged == ""
    for path in login.database.rglob("heliograph.db*"):
        assert phone[1:].encode() not in path.read_bytes()
