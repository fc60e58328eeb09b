"""Every setting, read once from the environment or `.env`, checked at start, one line per mistake.

Outside production nothing needs to be set: the simulator stands in for Twilio, SQLite for PostgreSQL, and keys
are made under `DATA_DIR`.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

import setting_forms as forms
from notifications import access
from notifications.caps import Cap, parse_caps
from notifications.consent import ConsentRules, OptOutScope
from notifications.destinations import Destinations
from notifications.endpoints import Endpoint, Endpoints, parse_endpoints
from notifications.per_name import UNLIMITED, PerName
from notifications.quiet_hours import QuietHours

# The account of the simulator: no secret, and no account of anyone's.
SIMULATOR_ACCOUNT_SID = "AC00000000000000000000000000000000"
SIMULATOR_VERIFY_SERVICE_SID = "VA00000000000000000000000000000000"
SIMULATOR_AUTH_TOKEN = "simulator-token-no-secret"
SIMULATOR_FROM_NUMBER = "+15005550006"  # the sender that Twilio's own test credentials accept
SIMULATOR_WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"simulator-operators-desk").decode()

LOOPBACK = ("localhost", "127.0.0.1", "::1")


# Ten thousand numbers differ in their last four digits only; so many of them in so short a time are no coincidence.
PRODUCTION_PUMPING_LIMIT = parse_caps("200/10m")[0]


class SettingsError(Exception):
    """The settings cannot be used; `problems` has one line per mistake, without any value that is secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """See `.env.example` for what each one means to an operator."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True, frozen=True
    )

    environment: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=1, le=65535)
    public_base_url: forms.PublicUrl | None = None
    data_dir: Path = Path("var")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] | None = None
    metrics_port: int | None = Field(None, ge=1, le=65535)
    otel_exporter_otlp_endpoint: forms.BaseUrl | None = None
    otel_exporter_otlp_headers: forms.Headers = ()
    otel_traces_sampler_arg: float = Field(1, ge=0, le=1)

    api_keys: forms.CallersKeys = ()
    api_keys_file: Path | None = None
    caller_rate_per_second: float | None = Field(None, gt=0, le=100_000)
    max_body_bytes: int = Field(65_536, ge=1_024, le=1_048_576)

    twilio_account_sid: forms.AccountSid | None = None
    twilio_auth_token: forms.AuthToken | None = None
    twilio_auth_token_secondary: forms.AuthToken | None = None
    twilio_api_key_sid: forms.ApiKeySid | None = None
    twilio_api_key_secret: SecretStr | None = None
    twilio_from_number: forms.Sender | None = None
    twilio_voice_from_number: forms.PhoneNumber | None = None
    twilio_messaging_service_sid: forms.MessagingServiceSid | None = None
    twilio_verify_service_sid: forms.VerifyServiceSid | None = None
    twilio_api_base_url: forms.BaseUrl | None = None
    twilio_connect_timeout_seconds: float = Field(5, gt=0, le=10)
    twilio_read_timeout_seconds: float = Field(30, gt=0, le=40)
    verify_starts_per_number: int = Field(5, ge=1, le=100)
    verify_starts_per_prefix: int = Field(20, ge=1, le=10_000)
    verify_starts_per_caller: int = Field(120, ge=1, le=100_000)
    verify_checks_per_number: int = Field(10, ge=1, le=100)
    require_twilio_signature: bool = True
    send_rate_per_second: float | None = Field(None, gt=0, le=2000)

    database_url: forms.DatabaseUrl | None = None
    payload_keys: forms.PayloadKeys = ()
    pii_hash_key: forms.HashKey | None = None

    opt_out_scope: OptOutScope = OptOutScope.ALL
    opt_out_reply: str = Field("You will get no more texts from us. Reply START to get them again.", max_length=320)
    help_reply: str | None = Field(None, max_length=320)
    consent_valid_days: int | None = Field(None, ge=1, le=36_500)
    retain_body_days: forms.Days = PerName(30)
    retain_number_days: forms.DaysOfNumbers = PerName(90)
    retain_timeline_days: forms.Days = PerName(400)
    redact_at_twilio_after_days: int | None = Field(None, ge=0, le=400)
    allowed_countries: forms.Countries = frozenset()
    allowed_number_types: forms.NumberTypes = frozenset()
    quiet_hours: forms.Hours = QuietHours(start=time(21), end=time(8))
    storm_window_seconds: int = Field(300, ge=5, le=86_400)
    recipient_caps: forms.Caps = parse_caps("2/1m,6/15m,12/1h,40/1d")
    caller_budget: forms.Budget = UNLIMITED
    country_budget: forms.Budget = UNLIMITED
    pumping_limit: forms.OneCap = None
    link_hosts: forms.Hosts = frozenset()
    idempotency_window_days: int = Field(30, ge=1, le=365)
    reconcile_every_seconds: int = Field(300, ge=5, le=86_400)
    reconcile_after_seconds: int = Field(600, ge=5, le=86_400)

    events_webhook_url: forms.WebhookUrl | None = None
    events_webhook_secret: forms.WebhookSecret | None = None
    events_webhooks_file: Path | None = None
    operations_webhook_url: forms.WebhookUrl | None = None
    operations_webhook_secret: forms.WebhookSecret | None = None

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    worker_deployment_name: forms.DeploymentName = "heliograph"
    worker_build_id: forms.BuildId | None = None
    temporal_ui_url: forms.BaseUrl = "http://127.0.0.1:8233"
    temporal_ui_port: int = Field(8233, ge=1, le=65535)
    simulator_port: int = Field(8090, ge=1, le=65535)
    codec_keys: forms.OperatorsKeys = ()
    codec_port: int = Field(8070, ge=1, le=65535)
    codec_url: forms.BaseUrl | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> "Settings":
        problems = list(self._contradictions())
        if self.environment == "production":
            problems += self._missing_in_production()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _contradictions(self) -> list[str]:
        problems = []
        for name, other in (
            ("twilio_account_sid", "twilio_auth_token"),
            ("twilio_auth_token", "twilio_account_sid"),
            ("twilio_api_key_sid", "twilio_api_key_secret"),
            ("twilio_api_key_secret", "twilio_api_key_sid"),
            ("events_webhook_url", "events_webhook_secret"),
            ("operations_webhook_url", "operations_webhook_secret"),
        ):
            if getattr(self, name) is not None and getattr(self, other) is None:
                problems.append(f"{other.upper()}: is needed with {name.upper()}")
        try:
            _ = self.endpoints
        except (OSError, UnicodeDecodeError) as failure:
            problems.append(f"EVENTS_WEBHOOKS_FILE: cannot be read ({type(failure).__name__})")
        except ValueError as wrong:
            problems += [f"EVENTS_WEBHOOKS_FILE: {line}" for line in str(wrong).split("; ")]
        if self.twilio_account_sid and not (self.twilio_from_number or self.twilio_messaging_service_sid):
            problems.append("TWILIO_FROM_NUMBER: or TWILIO_MESSAGING_SERVICE_SID is needed with TWILIO_ACCOUNT_SID")
        problems += self._wrong_keys()
        if self.environment == "development" and not self.on_loopback:
            if self.open_to_anyone:
                problems.append("API_KEYS: or API_KEYS_FILE is needed when HOST is not a loopback address")
            if not self.require_twilio_signature:
                problems.append("REQUIRE_TWILIO_SIGNATURE: may be false only when HOST is a loopback address")
        return problems

    def _wrong_keys(self) -> list[str]:
        name = "API_KEYS" if self.api_keys_file is None else "API_KEYS_FILE"
        try:
            if not self.callers_keys() and self.api_keys_file is not None:
                return [f"{name}: holds no key, and API_KEYS is empty: nobody could call"]
        except access.WrongKeys as wrong:
            return [f"{name}: {problem}" for problem in wrong.problems]
        return []

    def _missing_in_production(self) -> list[str]:
        needed = {
            "PUBLIC_BASE_URL": self.public_base_url,
            "TWILIO_ACCOUNT_SID": self.twilio_account_sid,
            "DATABASE_URL": self.database_url,
            "PAYLOAD_KEYS": self.payload_keys,
            "PII_HASH_KEY": self.pii_hash_key,
        }
        problems = [f"{name}: is needed in production" for name, value in needed.items() if not value]
        if self.open_to_anyone:
            problems.append("API_KEYS: or API_KEYS_FILE is needed in production")
        if self.public_base_url and not self.public_base_url.startswith("https://"):
            problems.append("PUBLIC_BASE_URL: must be https in production")
        if not self.require_twilio_signature:
            problems.append("REQUIRE_TWILIO_SIGNATURE: must be true in production")
        short = sorted({caller for caller, key in self.api_keys if len(key.get_secret_value()) < 16})
        problems += [
            f"API_KEYS: the key of {caller} must have at least 16 characters in production" for caller in short
        ]
        return problems

    def callers_keys(self) -> list[access.Key]:
        """Those of the environment and those of the file, as it is now. Raises WrongKeys."""
        keys = access.of_environment((caller, key.get_secret_value()) for caller, key in self.api_keys)
        if self.api_keys_file is not None:
            keys += access.read_keys(self.api_keys_file)
        access.check_together(keys, datetime.now(UTC))
        return keys

    @property
    def open_to_anyone(self) -> bool:
        """No keys are asked for. A file that is named closes the door, whatever is in it."""
        return not self.api_keys and self.api_keys_file is None

    @property
    def on_loopback(self) -> bool:
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def simulated(self) -> bool:
        """Whether the simulator stands in for Twilio: no account is set."""
        return self.twilio_account_sid is None

    @property
    def base_url(self) -> str:
        """Where Twilio reaches us; what callback signatures are computed over."""
        return self.public_base_url or f"http://127.0.0.1:{self.port}"

    @property
    def account_sid(self) -> str:
        return self.twilio_account_sid or SIMULATOR_ACCOUNT_SID

    @property
    def auth_token(self) -> str:
        return self.twilio_auth_token.get_secret_value() if self.twilio_auth_token else SIMULATOR_AUTH_TOKEN

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """All that a callback may be signed with: during a rotation the secondary one too."""
        secondary = self.twilio_auth_token_secondary
        return (self.auth_token, *((secondary.get_secret_value(),) if secondary else ()))

    @property
    def verify_service_sid(self) -> str | None:
        return self.twilio_verify_service_sid or (SIMULATOR_VERIFY_SERVICE_SID if self.simulated else None)

    @property
    def from_number(self) -> str | None:
        return self.twilio_from_number or (SIMULATOR_FROM_NUMBER if self.simulated else None)

    @property
    def redact_after(self) -> timedelta | None:
        """When Twilio's copy of a text that has ended loses its body; None for never."""
        days = self.redact_at_twilio_after_days
        return None if days is None else timedelta(days=days)

    @property
    def pumping(self) -> Cap | None:
        """From how many numbers of one range on an operator is asked; None for never."""
        if "pumping_limit" in self.model_fields_set or self.environment == "development":
            return self.pumping_limit
        return PRODUCTION_PUMPING_LIMIT

    @property
    def operators_endpoint(self) -> Endpoint | None:
        return _endpoint(self.operations_webhook_url, self.operations_webhook_secret)

    @cached_property
    def endpoints(self) -> Endpoints:
        """Where callers are told how their events ended. Raises OSError, ValueError."""
        named = parse_endpoints(self.events_webhooks_file.read_text()) if self.events_webhooks_file else {}
        return Endpoints(_endpoint(self.events_webhook_url, self.events_webhook_secret), named)

    @property
    def destinations(self) -> Destinations:
        return Destinations(self.allowed_countries, self.allowed_number_types)

    @property
    def consent_rules(self) -> ConsentRules:
        senders = (self.twilio_messaging_service_sid, self.from_number)
        return ConsentRules(
            scope=self.opt_out_scope,
            senders=tuple(sender for sender in senders if sender),
            valid_for=timedelta(days=self.consent_valid_days) if self.consent_valid_days else None,
        )

    @property
    def voice_from_number(self) -> str | None:
        """The caller ID of calls: the sender of texts where that is a phone number."""
        sender = self.from_number
        return self.twilio_voice_from_number or (sender if sender and sender.startswith("+") else None)

    @property
    def twilio_url(self) -> str | None:
        """The Twilio-compatible server to talk to; None for Twilio itself."""
        if self.twilio_api_base_url or not self.simulated:
            return self.twilio_api_base_url
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def codec_base_url(self) -> str:
        """Where operators' browsers reach the codec server."""
        return self.codec_url or f"http://127.0.0.1:{self.codec_port}"

    @property
    def operator_keys(self) -> Sequence[tuple[str, str]]:
        """Operator and key. In development on this machine one is made where none is set: it shows clear text too."""
        if self.codec_keys or self.environment == "production" or not self.on_loopback:
            return [(operator, key.get_secret_value()) for operator, key in self.codec_keys]
        made = hmac.new(self.hash_key, b"operator of development", hashlib.sha256)
        return [("developer", made.hexdigest()[:32])]

    def codec_problems(self) -> list[str]:
        """What keeps the codec server, and nothing else, from starting."""
        problems = []
        if not self.operator_keys:
            where = "in production" if self.environment == "production" else "when HOST is not a loopback address"
            problems.append(f"CODEC_KEYS: is needed {where}: it hands out clear text")
        url = urlsplit(self.codec_base_url)
        if self.environment == "production" and url.scheme != "https" and url.hostname not in LOOPBACK:
            problems.append("CODEC_URL: must be https in production, unless it is on a loopback address")
        return problems

    @property
    def database(self) -> str:
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'heliograph.db'}"

    @property
    def logs_as_json(self) -> bool:
        return (self.log_format or ("json" if self.environment == "production" else "console")) == "json"

    @cached_property
    def encryption_keys(self) -> Mapping[str, bytes]:
        """Key id to 32 bytes; the first one encrypts."""
        if self.payload_keys:
            return {key_id: forms.decoded(key) for key_id, key in self.payload_keys}
        return {"development": base64.b64decode(self._development_keys["payload"])}

    @cached_property
    def hash_key(self) -> bytes:
        if self.pii_hash_key:
            return self.pii_hash_key.get_secret_value().encode()
        return self._development_keys["hash"].encode()

    @cached_property
    def _development_keys(self) -> Mapping[str, str]:
        path = self.data_dir / "development-keys.json"
        if not path.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            keys = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in ("payload", "hash")}
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(keys, file)
            try:
                os.link(draft, path)  # of several processes that start at once, one's keys stand
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        found: Mapping[str, str] = json.loads(path.read_text())
        return found

    def temporal_environment(self) -> dict[str, str]:
        """The `TEMPORAL_*` variables for temporalio.envconfig, `.env` included, the environment first."""
        from_file = {name: value for name, value in dotenv_values(".env").items() if value}
        return {
            "TEMPORAL_ADDRESS": self.temporal_address,
            "TEMPORAL_NAMESPACE": self.temporal_namespace,
            **{name: value for name, value in (from_file | dict(os.environ)).items() if name.startswith("TEMPORAL_")},
        }


def _endpoint(url: str | None, secret: SecretStr | None) -> Endpoint | None:
    if url is None or secret is None:
        return None
    secrets = tuple(SecretStr(one.strip()) for one in secret.get_secret_value().split(","))
    return Endpoint(url, secrets)


def load_settings(**overrides: Any) -> Settings:
    """Raises SettingsError with one line per mistake."""
    try:
        return Settings(**overrides)
    except ValidationError as invalid:
        raise SettingsError([line for error in invalid.errors() for line in _lines(error)]) from None


def _lines(error: Any) -> list[str]:
    says = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return list(says.split("\n"))
    return [f"{str(error['loc'][0]).upper()}: {says}"]
