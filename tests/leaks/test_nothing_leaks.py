"""Canaries go through every path; afterwards everything that was written is searched for them.

What belongs here when it comes: the output of any further exporter (traces, say), as one more `Evidence`.
"""

import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from store.database import Database
from tests.leaks import tour
from tests.leaks.canaries import Canary, Search
from tests.leaks.evidence import Evidence, leaks, twilio
from tests.leaks.house import SECRETS, House, inhabited
from tests.leaks.page import PLACES, Form
from tests.world import settings_for

pytestmark = pytest.mark.timeout(240)  # the first test waits for the whole tour

# Everything is written by one of these; that each can be searched is seen below.
SORTS = {"answer", "metrics", "CLI", "process list", "log", "file", "SQL", "Temporal", "webhook"}
# What must have got as far as Twilio, or the tour has gone nowhere; refused texts and those that a fault ate have not.
TRAVELLED = (
    "delivered", "undelivered", "failed", "silent", "told twice", "too many requests", "server error", "hangs",
    "first contact", "second contact", "abroad", "on an island", "eight digits", "at last",
    "tracking URL", "summary of the incident", "name of another", "a reply", "order of silent", "ticket",
    "code that was sent",
)  # fmt: skip


@dataclass(frozen=True)
class Toured:
    """What a tour has left behind."""

    evidence: list[Evidence]
    canaries: list[Canary]
    twilio: bytes
    house: House


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def toured(request: pytest.FixtureRequest, data: Path) -> Toured:
    """SQLite with all that can happen, with both sorts of logs; PostgreSQL with all that depends on the database."""
    place = data / f"leaks-{request.param}"
    if request.param == "sqlite":
        house = await _tour(place, None, tour.WHOLE, LOG_FORMAT="console")
    else:
        url = await _own_database(request.getfixturevalue("postgres"))
        house = await _tour(place, url, tour.OF_DATABASE, LOG_FORMAT="json")
    return Toured(await house.everything(), house.canaries, twilio(place), house)


async def _tour(place: Path, database: str | None, steps: tuple[tour.Step, ...], **settings: str) -> House:
    async with inhabited(place, database, **settings) as house:
        for step in steps:
            await step(house)
    return house


async def _own_database(server: str) -> str:
    """Another one on the same server, with a password that it does not ask for."""
    database = Database(server)
    async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("CREATE DATABASE leaks")
    await database.close()
    url = make_url(server).set(database="leaks", password=SECRETS["password of the database"])
    return url.render_as_string(hide_password=False)


def test_nothing_personal_and_no_secret_is_in_anything_that_was_written(toured: Toured) -> None:
    found = leaks(toured.evidence, toured.canaries)
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("sort", sorted(SORTS))
def test_the_search_finds_every_canary_in_whatever_was_written(toured: Toured, sort: str) -> None:
    written = [one for one in toured.evidence if one.sort == sort]
    if not written:
        assert sort in ("CLI",), "only PostgreSQL's shorter tour types no commands"
        return
    largest = max(written, key=lambda one: len(one.data))
    wanted = {canary.what for canary in toured.canaries} - largest.may_hold
    some = largest.data[:20_000]
    for number in range(max(len(canary.forms | canary.words) for canary in toured.canaries)):
        forms = [sorted(canary.forms | canary.words) for canary in toured.canaries]
        spread = b" ".join(one[number % len(one)] for one in forms)
        planted = replace(largest, data=b" ".join((some[:10_000], spread, some[10_000:])))
        assert {leak.canary.what for leak in leaks([planted], toured.canaries)} == wanted


def test_the_canaries_have_travelled(toured: Toured) -> None:
    """Twilio has what was said to whom; every sort of evidence is of this tour."""
    canaries = {canary.what: canary for canary in toured.canaries}
    there = Search(toured.canaries)(toured.twilio)
    assert not [what for what in TRAVELLED if what not in there]
    assert {one.sort for one in toured.evidence} >= SORTS - {"CLI"}
    for sort in SORTS - {"process list", "metrics"}:
        written = b"".join(one.data for one in toured.evidence if one.sort == sort)
        assert not written or b"leak-tour-" in written, sort
    answers = b"".join(one.data for one in toured.evidence if one.sort == "answer")
    assert b'"approved":true' in answers
    assert b'"acknowledged"' in answers
    assert canaries["operator note"].text in toured.house.outside.operators[0].body
    failed = b"".join(one.data for one in toured.evidence if one.sort == "log")
    assert b"Traceback" in failed
    assert b"sqlalchemy.exc" in failed


def test_what_the_page_says_of_each_columns_form_is_so(toured: Toured) -> None:
    """docs/privacy.md, compared with the rows that the tour has left."""
    columns = _columns(toured)
    seen = set()
    for place, form in PLACES.items():
        for value in columns.get(place, []):
            assert form.is_form_of(value), f"{place} is not {form.name}: {value}"
            seen.add(form)
    assert seen >= {Form.MASKED, Form.HASHED, Form.ENCRYPTED, Form.SEALED}


def _columns(toured: Toured) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in toured.evidence:
        if one.sort == "SQL":
            for name, values in one.columns().items():
                found[f"{one.name}.{name}"] = [value for value in values if value not in ("None", "")]
    return found


def test_only_its_owner_may_read_the_keys_that_development_makes(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, payload_keys="", pii_hash_key=None)
    assert settings.encryption_keys
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert re.fullmatch(r"development-keys\.json", file.name)
