"""The house is built as its plan says: who imports whom, what is locked, what is where."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.guards import GUARDS

ROOT = Path(__file__).resolve().parent.parent
TOP = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
# What the single files at the top level may import of ours; the packages are checked by import-linter.
# fmt: off
MAY_IMPORT = {
    "setting_forms": {"notifications"},
    "settings": {"notifications", "setting_forms"},
    "terminal": set(),
    "process": {"privacy", "settings", "telemetry"},
    "engine": {"privacy", "settings", "telemetry"},
    "bootstrap": {"engine", "settings", "store", "workflows"},
    "bulk": {"client", "settings"},
    "client": {"privacy", "settings", "terminal"},
    "consents": {"client", "settings"},
    "questions": {"client", "settings", "terminal"},
    "worker": {
        "activities", "carrier", "engine", "notifications", "privacy", "process", "settings", "store", "telemetry",
        "workflows",
    },
    "versions": {"engine", "notifications", "settings", "workflows"},
    "doctor": {"bootstrap", "carrier", "engine", "privacy", "settings", "store", "versions", "workflows"},
}
# fmt: on


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names & TOP


@pytest.mark.parametrize("module", sorted(TOP & {path.stem for path in ROOT.glob("*.py")} - {"cli"}))
def test_single_files_import_downwards_only(module: str) -> None:
    assert imported(ROOT / f"{module}.py") <= MAY_IMPORT[module]


def test_packages_import_downwards_only() -> None:
    ended = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout


def test_every_module_is_installed() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {pattern.rstrip("*") for pattern in setuptools["packages"]["find"]["include"]}
    assert set(setuptools["py-modules"]) | packages == TOP - {"tests"}


@pytest.mark.parametrize("lock", ["production", "dev"])
def test_everything_is_locked_by_hash_and_no_index_is_named(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=[a-z0-9])", text.strip()):
        if not entry.startswith("#"):
            assert re.match(r"[a-z0-9][a-z0-9._-]*==", entry), entry
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def _locked(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", text, re.MULTILINE))


def test_production_runs_what_was_tested() -> None:
    assert _locked("production").items() <= _locked("dev").items()


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {
        re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(): one.version for one in importlib.metadata.distributions()
    }
    locked = {re.sub(r"[-_.]+", "-", name): version for name, version in _locked("dev").items()}
    differing = {name: version for name, version in installed.items() if locked.get(name, version) != version}
    assert differing == {}
    assert set(installed) - set(locked) - {"heliograph", "pip"} == set()


def test_what_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
        assert re.match(r"[A-Za-z0-9_-]+", requirement).group().lower() in _locked("dev")  # type: ignore[union-attr]


def test_every_guard_is_named_with_its_test_and_stands_where_it_should() -> None:
    promised = (ROOT / "docs" / "delivery-guarantees.md").read_text()
    for guard in GUARDS:
        file, test = guard.test.split("::")
        assert f"| {guard.promise} | `{guard.file}` | `{test}` |" in promised
        assert f"def {test}(" in (ROOT / file).read_text()
        for where, line, _ in ((guard.file, guard.guard, guard.broken), *guard.also):
            assert (ROOT / where).read_text().count(line) == 1, line
