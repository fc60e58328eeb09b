"""The consent ledger as CSV."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

import consents
from tests.workflow.test_consent import standing
from tests.world import KEY, World

WHEN = "2026-01-01T00:00:00Z"
HEAD = "phone,status,purpose,at,source,wording,expiresAt\n"


async def added(world: World, text: str | bytes) -> httpx.Response:
    return await world.http.post("/api/consents.csv", content=text, headers={"Content-Type": "text/csv"})


async def exported(world: World, **query: str) -> list[dict[str, str]]:
    answer = await world.http.get("/api/consents.csv", params=query)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_file_is_added_once_however_often_it_is_sent(world: World) -> None:
    one, other = world.event()["phone"], world.event()["phone"]
    text = (
        f"{HEAD}{one},granted,order-updates,2026-01-05T09:00:00Z,checkout,terms-3,2029-01-05T09:00:00Z\n"
        f"{other},opted_out,,2026-02-05T09:00:00+01:00,phone call,,\n"
    )
    for counts in ({"added": 2, "known": 0}, {"added": 0, "known": 2}):
        answer = await added(world, text)
        assert answer.json() == counts | {"refused": []}
    assert (await standing(world, one))["purposes"]["order-updates"]["mayText"]
    assert (await standing(world, other))["optedOut"]


async def test_what_was_exported_can_be_imported(world: World) -> None:
    phone = world.event()["phone"]
    await added(world, f"{HEAD}{phone},opted_out,*,2026-02-05T09:00:00Z,letter,,\n")
    (row,) = [row for row in await exported(world, status="opted_out") if row["phone"] == phone]
    assert (row["source"], row["recordedBy"], row["purpose"]) == ("letter", "shop", "*")
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row))
    writer.writeheader()
    writer.writerow(row)
    assert (await added(world, text.getvalue())).json() == {"added": 0, "known": 1, "refused": []}


async def test_of_the_forgotten_only_the_hash_is_exported(world: World) -> None:
    phone = world.event()["phone"]
    await added(world, f"{HEAD}{phone},opted_out,,2026-03-05T09:00:00Z,forgotten soon,,\n")
    await world.http.delete(f"/api/recipients/{phone}")
    (row,) = [row for row in await exported(world) if row["source"] == "forgotten soon"]
    assert (row["phone"], len(row["recipientHash"])) == ("", 32)
    again = f"recipientHash,status,source,at\n{row['recipientHash']},opted_out,forgotten soon,2026-03-05T09:00:00Z\n"
    assert (await added(world, again)).json()["known"] == 1


async def test_wrong_lines_are_told_and_the_others_are_added(world: World) -> None:
    phone = world.event()["phone"]
    answer = await added(
        world,
        f"{HEAD}5551234,granted,order-updates,{WHEN},form,,\n{phone},granted,,{WHEN},form,,\n"
        f"{phone},perhaps,,{WHEN},form,,\n{phone},revoked,order-updates,,form,,\n"
        f"{phone},revoked,order-updates,2026-01-01,form,,\n{phone},revoked,order-updates,2026-01-01T00:00:00Z,form,,\n",
    )
    told: dict[str, Any] = answer.json()
    assert (told["added"], [one["line"] for one in told["refused"]]) == (1, [2, 3, 4, 5, 6])
    assert [one["details"][0]["field"] for one in told["refused"]] == ["phone", "(body)", "status", "at", "at"]
    assert "5551234" not in answer.text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"phone,status,source\n+15558675310,revoked,form\n",
        b"phone,status,at,source,colour\n",
        b"phone,status,at,source\n+15558675310,revoked,2026-01-01T00:00:00Z,form,more\n",
        b'phone,status,at,source\n"+1555"8,revoked,2026-01-01T00:00:00Z,form\n',
    ],
)
async def test_what_cannot_be_read_is_told(world: World, text: bytes) -> None:
    answer = await added(world, text)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_the_command_writes_and_reads_files(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consents.PIECE", 2_000)  # in several requests
    phones = [world.event()["phone"] for _ in range(120)]
    given, kept = tmp_path / "given.csv", tmp_path / "kept.csv"
    lines = [f'{phone},revoked,2026-04-05T09:00:00Z,"list, of spring"\n' for phone in phones]
    given.write_text("phone,status,at,source\n" + "".join(lines) + "nonsense,revoked,2026-04-05T09:00:00Z,list\n")
    console = Console(file=io.StringIO(), width=200)
    assert await consents.read(world.settings, console, given, KEY) == 1
    assert await consents.write(world.settings, console, kept, "revoked", KEY) == 0
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"{len(phones)} added, 0 known, 1 refused" in said
    assert str(len(phones) + 2) in said  # the line that was refused
    assert set(phones) <= {row["phone"] for row in csv.DictReader(kept.open())}
    assert kept.stat().st_mode & 0o077 == 0
