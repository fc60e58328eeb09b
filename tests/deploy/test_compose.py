"""docker-compose.yml, Dockerfile and deploy/ hold together, with each other and with the settings."""

import base64
import fnmatch
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.stack import TEMPORAL_FLAGS
from engine import retention
from settings import Settings, load_settings
from tests.world import World
from worker import GRACE

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("bootstrap", "api", "worker", "codec")
ONE_SHOT = {"temporal-schema", "temporal-namespace", "bootstrap"}
LONG_RUNNING = sorted(SERVICES.keys() - ONE_SHOT)

COMPOSE_ONLY = {"POSTGRES_PASSWORD", "API_BIND", "PROMETHEUS_PORT", "GRAFANA_PORT"}
"""Variables of docker-compose.yml that no setting stands for."""

NON_ROOT_IMAGES = {"temporalio/ui"}
"""Images whose own user is not root; all other services name one."""

# As an operator might write them; none is a credential of anyone's.
ENTERED = {
    "PUBLIC_BASE_URL": "https://sms.example.com",
    "API_KEYS": "shop=" + "ab" * 16,
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0" * 32,
    "TWILIO_FROM_NUMBER": "+15005550006",
    "CODEC_KEYS": "ada=" + "ef" * 16,
    "POSTGRES_PASSWORD": "cd" * 16,
    "PAYLOAD_KEYS": "k1:" + base64.b64encode(bytes(32)).decode(),
    "PII_HASH_KEY": base64.b64encode(bytes(32)).decode(),
}

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<sign>[-?])(?P<rest>[^}]*))?\}")


def interpolated(value: Any, entered: dict[str, str]) -> Any:
    """As compose does it, for the forms that the file uses."""
    if isinstance(value, dict):
        return {key: interpolated(each, entered) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, entered) for each in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if found := entered.get(match["name"]):
            return found
        if match["sign"] == "?":
            raise KeyError(match["name"])
        return match["rest"] or ""

    return VARIABLE.sub(replace, value)


def settings_of(service: str, entered: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    environment = interpolated(SERVICES[service]["environment"], entered)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings(_env_file=None)


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def default(name: str) -> Any:
    return Settings.model_fields[name].default


def test_every_dollar_is_a_variable_of_a_known_form() -> None:
    text = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    assert "$" not in VARIABLE.sub("", text)


def test_every_variable_is_a_setting_or_of_compose_only() -> None:
    used = {match["name"] for match in VARIABLE.finditer(TEXT)}
    assert used <= {name.upper() for name in Settings.model_fields} | COMPOSE_ONLY
    assert used >= COMPOSE_ONLY


@pytest.mark.skipif(not (ROOT / ".env.example").exists(), reason="there is no .env.example")
def test_every_variable_that_must_be_set_stands_in_the_example() -> None:
    example = set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    required = {match["name"] for match in VARIABLE.finditer(TEXT) if match["sign"] == "?"}
    assert required - example - COMPOSE_ONLY == set()


@pytest.mark.parametrize("service", OURS)
def test_our_environment_names_settings(service: str) -> None:
    given = {name.lower() for name in SERVICES[service]["environment"]}
    assert given <= Settings.model_fields.keys()


def test_every_setting_of_production_can_be_set() -> None:
    # What only stands for another part on a developer's machine, or what production must not turn off.
    fixed = {"data_dir", "simulator_port", "temporal_ui_port", "require_twilio_signature"}
    assert Settings.model_fields.keys() - {name.lower() for name in SERVICES["api"]["environment"]} == fixed


@pytest.mark.parametrize("service", OURS)
def test_the_settings_are_accepted(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(service, ENTERED, monkeypatch)
    assert settings.environment == "production"
    assert settings.host == "0.0.0.0"
    assert settings.database == f"postgresql://heliograph:{ENTERED['POSTGRES_PASSWORD']}@postgres:5432/heliograph"
    assert settings.temporal_environment()["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert settings.require_twilio_signature
    assert settings.logs_as_json


@pytest.mark.parametrize("name", sorted(ENTERED.keys() - {"TWILIO_FROM_NUMBER", "API_KEYS"}))
def test_compose_does_not_start_without(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        interpolated(COMPOSE, ENTERED | {name: ""})


def test_defaults_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("api", ENTERED, monkeypatch)
    decided = {"environment", "host", "log_format", "metrics_port", "database_url", "temporal_address", "codec_url"}
    entered = {name.lower() for name in ENTERED}
    for name in Settings.model_fields.keys() - decided - entered:
        assert getattr(settings, name) == default(name), name


def test_one_variable_has_one_default() -> None:
    defaults: dict[str, set[str]] = {}
    for match in VARIABLE.finditer(TEXT):
        defaults.setdefault(match["name"], set()).add(f"{match['sign']}{match['rest']}")
    assert {name: found for name, found in defaults.items() if len(found) > 1} == {}


def test_ports_are_those_of_the_settings() -> None:
    environment = interpolated(SERVICES["api"]["environment"], ENTERED)
    assert environment["PORT"] == str(default("port"))
    assert environment["TEMPORAL_UI_URL"] == default("temporal_ui_url")
    published = interpolated({name: service.get("ports", []) for name, service in SERVICES.items()}, ENTERED)
    assert published["api"] == [f"127.0.0.1:{default('port')}:{default('port')}"]
    assert published["temporal-ui"] == [f"127.0.0.1:{default('temporal_ui_port')}:8080"]
    assert published["codec"] == [f"127.0.0.1:{default('codec_port')}:{default('codec_port')}"]
    assert f"127.0.0.1:{default('codec_port')}/healthz" in " ".join(SERVICES["codec"]["healthcheck"]["test"])
    assert f"127.0.0.1:{default('port')}/readyz" in " ".join(SERVICES["api"]["healthcheck"]["test"])


def test_nothing_but_the_api_can_be_published_beyond_loopback() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert name == "api" or port.startswith("127.0.0.1:"), name
    assert "ports" not in SERVICES["postgres"] | SERVICES["temporal"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["temporal"]["networks"] == ["inside"]


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_long_running_services_are_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert seconds(service["healthcheck"]["timeout"]) < seconds(service["healthcheck"]["interval"]) + 1


@pytest.mark.parametrize("name", SERVICES)
def test_services_may_do_no_more_than_they_need(name: str) -> None:
    service = SERVICES[name]
    image = service["image"].partition(":")[0]
    assert service.get("user", "root").partition(":")[0] not in ("root", "0") or image in NON_ROOT_IMAGES
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert "_" not in name, "Twilio and some URL parsers refuse host names with underscores"
    assert all(volume.endswith(":ro") for volume in service.get("volumes", []) if volume.startswith("."))
    if name in OURS:
        assert service["read_only"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", SERVICES[name]["image"])


def test_server_and_its_tools_are_of_one_version() -> None:
    names = ("temporal", "temporal-schema", "temporal-namespace")
    assert len({SERVICES[name]["image"].partition(":")[2] for name in names}) == 1


def test_the_order_of_starting() -> None:
    started: list[str] = []
    while len(started) < len(SERVICES):
        free = [
            name
            for name, service in SERVICES.items()
            if name not in started and service.get("depends_on", {}).keys() <= set(started)
        ]
        assert free, "depends_on names a service that is missing, or goes in a circle"
        started += free
    for service in SERVICES.values():
        for target, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if target in ONE_SHOT else "service_healthy"
            assert how == {"condition": wanted}
    for name in ("api", "worker", "codec"):
        assert "bootstrap" in SERVICES[name]["depends_on"]


def test_files_that_are_mounted_exist() -> None:
    named = {name for service in SERVICES.values() for name in service.get("volumes", [])}
    for source in {name.partition(":")[0] for name in named}:
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_a_stopping_worker_may_finish_its_sends() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > GRACE.total_seconds()


def test_the_ui_cannot_send_a_second_text() -> None:
    environment = SERVICES["temporal-ui"]["environment"]
    for action in ("WORKFLOW_RESET", "BATCH_ACTIONS", "START_WORKFLOW"):
        assert environment[f"TEMPORAL_{action}_DISABLED"] == "true"


def test_the_ui_asks_the_codec_server_and_sends_the_log_in_along(monkeypatch: pytest.MonkeyPatch) -> None:
    for entered in (ENTERED, ENTERED | {"CODEC_URL": "https://codec.example.com"}):
        settings = settings_of("codec", entered, monkeypatch)
        assert settings.codec_problems() == []
        environment = interpolated(SERVICES["temporal-ui"]["environment"], entered)
        assert environment["TEMPORAL_CODEC_ENDPOINT"] == settings.codec_base_url
        assert environment["TEMPORAL_CODEC_INCLUDE_CREDENTIALS"] == "true"
        assert environment["TEMPORAL_CODEC_DEFAULT_ERROR_LINK"] == f"{settings.codec_base_url}/login"


def test_temporal_is_set_up_for_production() -> None:
    environment = SERVICES["temporal"]["environment"]
    assert environment["NUM_HISTORY_SHARDS"] == "512"
    inside = environment["DYNAMIC_CONFIG_FILE_PATH"]
    assert SERVICES["temporal"]["volumes"] == [f"./deploy/temporal/dynamic-config.yaml:{inside}:ro"]


def test_dynamic_config_is_that_of_the_development_stack() -> None:
    flags = [flag.split(" ", 1)[1] for flag in TEMPORAL_FLAGS if flag.startswith("--dynamic-config-value ")]
    there = {name: yaml.safe_load(value) for name, _, value in (flag.partition("=") for flag in flags)}
    here = yaml.safe_load((ROOT / "deploy/temporal/dynamic-config.yaml").read_text())
    assert here == {name: [{"value": value}] for name, value in there.items()}


# deploy/: the scripts run with stand-ins for the tools of Temporal's image, which write down how they are called.


def run(script: str, tools: Path, **environment: str) -> tuple[int, list[str]]:
    """Its exit code, and the calls of tools."""
    calls = tools / "calls"
    calls.touch()
    done = subprocess.run(
        ["sh", ROOT / "deploy/temporal" / script],
        env={"PATH": f"{tools}:{os.environ['PATH']}", "CALLS": str(calls), **environment},
        timeout=20,
        check=False,
        capture_output=True,
    )
    return done.returncode, calls.read_text().splitlines()


def stand_in(tools: Path, name: str, script: str) -> None:
    path = tools / name
    path.write_text(f'#!/bin/sh\necho "$*" >> "$CALLS"\n{script}\n')
    path.chmod(0o755)


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_shell(script: Path) -> None:
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert script.read_text().startswith("#!/bin/sh\n")


@pytest.mark.parametrize(
    ("said", "code", "set_up"),
    [
        ("", 0, 0),
        ('error reading current schema version:pq: relation \\"schema_version\\" does not exist', 0, 2),
        ("error executing statement: pq: out of disk, schema_version does not exist", 1, 0),
    ],
    ids=["existing", "empty", "broken"],
)
def test_schemas_are_set_up_only_in_empty_databases(tmp_path: Path, said: str, code: int, set_up: int) -> None:
    stand_in(
        tmp_path,
        "temporal-sql-tool",
        f"""
        for word; do [ "$last" = --db ] && database=$word; last=$word; done
        case $* in
        *setup-schema*) touch "$CALLS.$database" ;;
        *update-schema*) [ -z {shlex.quote(said)} ] || [ -e "$CALLS.$database" ] ||
            {{ echo {shlex.quote(said)} >&2; exit 1; }} ;;
        esac
        """,
    )
    found, calls = run("schema.sh", tmp_path, POSTGRES_HOST="postgres", POSTGRES_USER="heliograph", SQL_PASSWORD="x")
    assert found == code
    assert sum("setup-schema -v 0.0" in call for call in calls) == set_up
    if code == 0:
        last = [call for call in calls if "update-schema" in call][-1]
        assert "--db temporal_visibility" in last
        assert last.endswith("/visibility/versioned")


@pytest.mark.parametrize("exists", [True, False])
def test_the_namespace_keeps_workflows_as_long_as_ids_count(tmp_path: Path, exists: bool) -> None:
    days = interpolated(SERVICES["temporal-namespace"]["environment"], {"IDEMPOTENCY_WINDOW_DAYS": "45"})
    assert interpolated(SERVICES["api"]["environment"], ENTERED | days)["IDEMPOTENCY_WINDOW_DAYS"] == "45"
    stand_in(tmp_path, "temporal", "" if exists else "case $* in *describe*) exit 1 ;; esac")
    code, calls = run("namespace.sh", tmp_path, **days)
    assert code == 0
    made = [call for call in calls if "create" in call]
    assert made == ([] if exists else ["operator namespace create --namespace default --retention 45d"])


async def test_the_worker_is_healthy_while_it_polls(world: World) -> None:
    assert await retention(world.client)  # Temporal is there

    def health(namespace: str) -> int:
        return subprocess.run(
            [sys.executable, ROOT / "deploy/worker_health.py"],
            cwd=world.settings.data_dir,
            env={
                "PATH": os.environ["PATH"],
                "TEMPORAL_ADDRESS": world.settings.temporal_address,
                "TEMPORAL_NAMESPACE": namespace,
            },
            timeout=30,
            check=False,
            capture_output=True,
        ).returncode

    assert health(world.settings.temporal_namespace) == 0
    assert health("temporal-system") == 1  # a namespace in which it does not poll
    assert SERVICES["worker"]["healthcheck"]["test"] == ["CMD", "python", "/app/worker_health.py"]


# Dockerfile

INSTRUCTIONS = [
    line.split(" ", 1)
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def instructions(name: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def copied() -> list[str]:
    """What the build takes from the project."""
    own = [rest.split() for rest in instructions("COPY") if not rest.startswith("--from")]
    return [source for *sources, _ in own for source in sources]


def test_the_image_runs_heliograph_as_nobody_of_note() -> None:
    assert instructions("ENTRYPOINT") == ['["heliograph"]']
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("USER") == [SERVICES["api"]["user"]] == ["10001:10001"]
    assert instructions("EXPOSE") == [str(default("port"))]
    assert instructions("HEALTHCHECK") == []
    assert all(re.match(r"python:3\.11\.\d+-slim\b", image) for image in instructions("FROM"))
    assert len(instructions("FROM")) == 2


def test_everything_that_is_installed_has_a_hash() -> None:
    commands = [part.strip() for command in instructions("RUN") for part in command.split("&&")]
    installs = [command for command in commands if re.search(r"\bpip\b.*\b(install|wheel)\b", command)]
    assert len(installs) == 4
    for command in installs:
        assert "--require-hashes" in command or "--no-deps --no-index" in command
    assert any("-r requirements/production.lock" in command for command in installs)


def test_the_build_backend_is_taken_from_the_lock() -> None:
    (command,) = (rest for rest in instructions("RUN") if rest.startswith("sed "))
    done = subprocess.run(command.split(">")[0], shell=True, cwd=ROOT, check=True, capture_output=True, text=True)
    first, *hashes = done.stdout.splitlines()
    assert re.fullmatch(r"setuptools==[\d.]+ \\", first)
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
    assert not hashes[-1].endswith("\\")


def test_what_the_image_takes_exists_and_is_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source.rstrip("/"), pattern) for pattern in allowed), source
    assert {pattern for pattern in allowed if not (ROOT / pattern).exists()} == set()


def test_the_image_has_every_part_that_production_runs() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    (modules,) = re.findall(r"^py-modules = \[(.*)\]", pyproject, re.MULTILINE)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "devstack", "simulator"}
    wanted = {f"{module}.py" for module in re.findall(r'"(\w+)"', modules)} | {f"{package}/" for package in packages}
    rest = {"pyproject.toml", "requirements/", "deploy/worker_health.py"}
    assert set(copied()) == wanted | rest
