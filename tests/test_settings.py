"""Wrong settings stop the process at start, one line per mistake, no secret shown."""

import base64
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devstack.stack import heliograph
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
        "API_KEYS: is needed when HOST is not a loopback address",
        "REQUIRE_TWILIO_SIGNATURE: may be false only when HOST is a loopback address",
    ]


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
    compose_only = {"POSTGRES_PASSWORD", "API_BIND"}
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
