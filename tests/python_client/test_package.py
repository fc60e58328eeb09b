"""The Python client as a package of its own: what it is made from, what it needs, what its pages say."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

import heliograph_client
from heliograph_client import EVENTS, DeliveryStatus, models
from notifications.kinds import KINDS
from notifications.status import FINAL
from notifications.status import DeliveryStatus as TheServices
from scripts import openapi, python_client

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "clients" / "python"
PACKAGE = PROJECT / "src" / "heliograph_client"


def test_the_document_is_the_api_as_it_is() -> None:
    assert openapi.document() == openapi.PLACE.read_text(), "run: make openapi"


def test_the_document_is_the_same_wherever_it_is_written() -> None:
    """Whatever the environment says, and however Python shuffles its sets."""
    settings = {"PORT": "9999", "API_KEYS": "shop=a-key", "ALLOWED_COUNTRIES": "DE", "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", "from scripts import openapi; print(openapi.document(), end='')"]
    written = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=True)
    assert written.stdout == openapi.PLACE.read_text()


@pytest.mark.parametrize("name", ["models.py", "synchronous.py"])
def test_what_is_made_from_it_is_made(name: str) -> None:
    made = python_client.made(json.loads(openapi.PLACE.read_text()))
    assert made[name] == (PACKAGE / name).read_text(), "run: make openapi"


def test_every_kind_has_its_class() -> None:
    assert {event.kind for event in EVENTS} == set(KINDS)
    assert set(models.__all__) <= set(heliograph_client.__all__)


def test_statuses_are_the_services() -> None:
    assert {status.value for status in DeliveryStatus} == {status.value for status in TheServices}
    assert {status.value for status in DeliveryStatus if status.final} == {status.value for status in FINAL}
    teleported = DeliveryStatus("teleported")  # one that the service has learnt since
    assert (teleported, teleported.final) == ("teleported", False)


def test_it_imports_what_it_names_and_nothing_of_the_service() -> None:
    imported = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    named = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    packages = {re.split(r"[^a-z0-9]", requirement)[0] for requirement in named}
    assert imported - set(sys.stdlib_module_names) == packages | {"heliograph_client"}


def test_it_is_a_wheel_that_works_without_the_service(tmp_path: Path) -> None:
    source = shutil.copytree(PROJECT, tmp_path / "source", ignore=shutil.ignore_patterns("*.egg-info", "build"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([*pip, *wheel], check=True)
    [built] = tmp_path.glob("heliograph_client-*-py3-none-any.whl")
    with zipfile.ZipFile(built) as archive:
        names = {name.removeprefix("heliograph_client/") for name in archive.namelist()}
        assert {path.name for path in PACKAGE.iterdir() if path.is_file()} <= names
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert "Requires-Dist: httpx" in metadata
    venv.create(tmp_path / "alone", symlinks=True)
    [alone] = (tmp_path / "alone" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(io.BytesIO(built.read_bytes())) as archive:
        archive.extractall(alone)
    installed = Path(httpx.__file__).parent.parent
    for needed in ("httpx", "httpcore", "h11", "anyio", "certifi", "idna"):
        shutil.copytree(installed / needed, alone / needed)
    shutil.copy(installed / "typing_extensions.py", alone)
    program = (
        "from heliograph_client import *; import sys\n"
        "Heliograph('http://127.0.0.1:1', 'key', retries=Retries(attempts=1)).notification('no-such-event')"
    )
    ended = subprocess.run(
        [tmp_path / "alone" / "bin" / "python", "-c", program],
        capture_output=True, text=True, cwd=tmp_path, env={"PATH": os.defpath},
    )  # fmt: skip
    assert "heliograph_client.errors.Unreachable: not_connected" in ended.stderr, ended.stderr
