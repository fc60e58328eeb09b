"""Wrong settings stop the process at start, one line per mistake, no secret shown."""

import base64
import hashlib
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devstack.stack import heliograph
from notifications.access import Scope, line_of, new_key, parse_keys
from settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parent.parent
KEY = base64.b64encode(b"k" * 32).decode()
PRODUCTION: dict[str, Any] = {
    "environment": "production",
    "host": "0.0.0.0",
    "api_keys": "shop=a-long-enough-api-key",
    "public_base_url": "https://sms.example.com",
    "twilio_account_sid": "AC" + "a" * 32,
    "twilio_auth_token": "t" * 32,
    "twilio_from_number": "+15005550006",
    "database_url": "postgresql://u:p@db/heliograph",
    "payload_keys": f"k1:{KEY}",
    "pii_hash_key": KEY,
}


def load(**values: Any) -> Settings:
    return load_settings(_env_file=None, **values)


def problems(**values: Any) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        load(**values)
    return wrong.value.problems


def test_nothing_needs_to_be_set_for_development(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    assert settings.simulated
    assert settings.twilio_url == "http://127.0.0.1:8090"
    assert settings.database == f"sqlite:///{tmp_path}/heliograph.db"


def test_development_keys_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    first = load(data_dir=tmp_path).encryption_keys
    assert load(data_dir=tmp_path).encryption_keys == first
    assert (tmp_path / "development-keys.json").stat().st_mode & 0o777 == 0o600


def test_production_passes_with_what_it_needs() -> None:
    assert load(**PRODUCTION).environment == "production"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_without_signatures_only_in_development_on_loopback(host: str) -> None:
    assert not load(host=host, require_twilio_signature=False).require_twilio_signature
    assert problems(**PRODUCTION | {"host": host, "require_twilio_signature": False}) == [
        "REQUIRE_TWILIO_SIGNATURE: must be true in production"
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "sms.example.com", "localhost.example.com"])
def test_without_signatures_never_where_others_can_reach_it(host: str) -> None:
    assert problems(host=host, api_keys="shop=key", require_twilio_signature=False) == [
        "REQUIRE_TWILIO_SIGNATURE: may be false only when HOST is a loopback address"
    ]


@pytest.mark.parametrize(
    "name", sorted(set(PRODUCTION) - {"environment", "host", "twilio_auth_token", "twilio_from_number"})
)
def test_production_refuses_to_start_without(name: str) -> None:
    found = problems(**{key: value for key, value in PRODUCTION.items() if key != name})
    assert any(line.startswith(name.upper()) for line in found)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"public_base_url": "http://sms.example.com"}, "PUBLIC_BASE_URL: must be https in production"),
        ({"require_twilio_signature": False}, "REQUIRE_TWILIO_SIGNATURE: must be true in production"),
        ({"api_keys": "shop=short"}, "API_KEYS: the key of shop must have at least 16 characters in production"),
    ],
)
def test_production_refuses_what_is_not_safe(change: dict[str, Any], line: str) -> None:
    assert problems(**PRODUCTION | change) == [line]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("twilio_account_sid", "AC123"),
        ("twilio_auth_token", "short"),
        ("twilio_from_number", "5005550006x!"),
        ("twilio_verify_service_sid", "VA1"),
        ("twilio_messaging_service_sid", "MG1"),
        ("public_base_url", "sms.example.com"),
        ("public_base_url", "https://u:p@sms.example.com"),
        ("public_base_url", "https://sms_one.example.com"),
        ("port", "99999"),
        ("api_keys", "shop"),
        ("api_keys", "sh op=key"),
        ("codec_keys", "ada=too-short"),
        ("codec_url", "codec.example.com"),
        ("payload_keys", "k1:AAAA"),
        ("payload_keys", f"k1:{KEY},k1:{KEY}"),
        ("pii_hash_key", "short"),
        ("database_url", "mysql://x"),
        ("allowed_countries", "USA"),
        ("allowed_number_types", "mobile,carrier-pigeon"),
        ("country_budget", "US=5"),
        ("caller_budget", "many"),
        ("pumping_limit", "200/10m,400/1h"),
        ("retain_body_days", "for-a-while"),
        ("retain_number_days", "0"),
        ("retain_number_days", "90,support-ack=0"),
        ("idempotency_window_days", 0),
        ("operations_webhook_secret", "x"),
        ("require_twilio_signature", "maybe"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(name: str, value: Any) -> None:
    found = problems(**{name: value})
    assert any(line.startswith(f"{name.upper()}: ") for line in found)
    assert len(str(value)) < 6 or not any(str(value) in line for line in found)


def test_every_mistake_is_told_at_once() -> None:
    assert len(problems(port=0, twilio_auth_token="short", payload_keys="x")) >= 3


def test_settings_that_belong_together() -> None:
    assert problems(twilio_auth_token="t" * 20) == ["TWILIO_ACCOUNT_SID: is needed with TWILIO_AUTH_TOKEN"]
    assert problems(operations_webhook_url="https://ops.example.com/hook") == [
        "OPERATIONS_WEBHOOK_SECRET: is needed with OPERATIONS_WEBHOOK_URL"
    ]


def test_an_open_door_stays_on_this_machine() -> None:
    assert problems(host="0.0.0.0", require_twilio_signature=False) == [
        "API_KEYS: or API_KEYS_FILE is needed when HOST is not a loopback address",
        "REQUIRE_TWILIO_SIGNATURE: may be false only when HOST is a loopback address",
    ]


@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_file_of_keys_does_in_the_place_of_api_keys(environment: str, tmp_path: Path) -> None:
    file = tmp_path / "api-keys"
    file.write_text(line_of(new_key(), "shop", [Scope.SEND]))
    settings = load(**PRODUCTION | {"environment": environment, "api_keys": "", "api_keys_file": file})
    assert not settings.open_to_anyone
    assert [key.caller for key in settings.callers_keys()] == ["shop"]


def test_a_file_that_is_named_closes_the_door_whatever_is_in_it(tmp_path: Path) -> None:
    assert load(data_dir=tmp_path).open_to_anyone
    (tmp_path / "empty").write_text("# nobody yet\n")
    assert problems(api_keys_file=tmp_path / "empty") == [
        "API_KEYS_FILE: holds no key, and API_KEYS is empty: nobody could call"
    ]
    assert problems(api_keys_file=tmp_path / "none") == ["API_KEYS_FILE: is no file that can be read"]


def test_every_mistake_in_the_file_of_keys_has_its_line(tmp_path: Path) -> None:
    file, key = tmp_path / "api-keys", new_key()
    file.write_text(f"shop {key} send\n{line_of(key, 'shop', [Scope.SEND])} rate=0\n")
    found = problems(api_keys_file=file, port=8080)
    assert [line[:22] for line in found] == ["API_KEYS_FILE: line 1:", "API_KEYS_FILE: line 2:"]
    assert not any(key in line for line in found)


def test_a_caller_has_two_keys_at_most_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "api-keys"
    file.write_text("\n".join(line_of(new_key(), "shop", [Scope.SEND]) for _ in range(2)))
    third = {"api_keys": "shop=a-long-enough-api-key"}
    says = "shop has 3 keys that are live; a caller has at most 2"
    assert problems(**third, api_keys_file=file) == [f"API_KEYS_FILE: {says}"]
    assert problems(api_keys="shop=key-one,shop=key-two,shop=key-three") == [f"API_KEYS: {says}"]
    assert problems(api_keys="shop=key-one,ops=key-one") == ["API_KEYS: one key is there twice, for shop and ops"]


def test_keys_that_have_all_expired_stop_no_process(tmp_path: Path) -> None:
    """Twilio's callbacks must be taken all the same."""
    file = tmp_path / "api-keys"
    file.write_text(line_of(new_key(), "shop", [Scope.SEND], datetime.now(UTC) - timedelta(days=1)))
    assert load(api_keys_file=file).api_keys_file == file


def test_the_command_makes_a_key_and_its_line_apart(tmp_path: Path) -> None:
    command = heliograph("key", "shop", "--scopes", "send,erase", "--expires", "90d", "--rate", "20")
    made = subprocess.run(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (key,) = re.findall(r"hgk_\w+", made.stderr)
    assert "hgk_" not in made.stdout, "what goes into the file is the line alone"
    (line,) = parse_keys(made.stdout)
    assert (line.caller, line.scopes, line.rate) == ("shop", {Scope.SEND, Scope.ERASE}, 20)
    assert line.digest == hashlib.sha256(key.encode()).digest()
    assert line.expires_at is not None
    assert timedelta(days=89) < line.expires_at - datetime.now(UTC) <= timedelta(days=90)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [["sh op"], ["shop", "--scopes", "all"], ["shop", "--expires", "soon"], ["shop", "--rate", "0"]]
)
def test_a_key_that_cannot_be_is_not_made(wrong: list[str], tmp_path: Path) -> None:
    made = subprocess.run(
        heliograph("key", *wrong), cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert (made.returncode, made.stdout) == (2, "")
    assert "hgk_" not in made.stderr


def test_two_keys_for_one_caller_and_a_secondary_token_serve_rotation() -> None:
    settings = load(
        **PRODUCTION
        | {"api_keys": "shop=first-key-of-shop,shop=second-key-of-shop", "twilio_auth_token_secondary": "s" * 32}
    )
    assert [caller for caller, _ in settings.api_keys] == ["shop", "shop"]
    assert settings.auth_tokens == ("t" * 32, "s" * 32)


def test_no_secret_is_in_what_settings_print() -> None:
    printed = repr(load(**PRODUCTION)) + str(load(**PRODUCTION))
    for secret in ("a-long-enough-api-key", "t" * 32, KEY, "u:p@db"):
        assert secret not in printed


def test_the_example_names_every_setting_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, re.MULTILINE))
    settings = {name.upper() for name in Settings.model_fields}
    assert settings <= named
    compose_only = {"POSTGRES_PASSWORD", "API_BIND", "PROMETHEUS_PORT", "GRAFANA_PORT"}
    assert {name for name in named - settings if not name.startswith("TEMPORAL_")} == compose_only


def test_the_example_is_a_valid_env_file(tmp_path: Path) -> None:
    assert load_settings(_env_file=ROOT / ".env.example", data_dir=tmp_path).environment == "development"


@pytest.mark.parametrize("command", ["api", "worker", "codec", "bootstrap", "rekey", "doctor", "dev"])
def test_every_process_stops_at_wrong_settings(command: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PORT": "0", "TWILIO_AUTH_TOKEN": "a-secret"}
    ended = subprocess.run(
        heliograph(command),
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert all(line.startswith("setting ") for line in lines)
    assert "a-secret" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_pumping_is_looked_for_in_production_unless_it_is_switched_off() -> None:
    assert load().pumping is None
    assert str(load(**PRODUCTION).pumping) == "200/10m"
    assert load(**PRODUCTION | {"pumping_limit": "none"}).pumping is None


def test_the_headers_for_traces_are_read_as_opentelemetry_reads_them() -> None:
    settings = load(otel_exporter_otlp_headers="X-Api-Key=a%20key, x-other=b=c")
    told = [(name, value.get_secret_value()) for name, value in settings.otel_exporter_otlp_headers]
    assert told == [("x-api-key", "a key"), ("x-other", "b=c")]
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS: must be a list such as"):
        load(otel_exporter_otlp_headers="no sign in it")
