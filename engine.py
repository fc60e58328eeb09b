"""The Temporal client, made in one place: address and credentials from the environment, payloads encrypted."""

import asyncio
import dataclasses
from datetime import timedelta

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError

from privacy.encryption import EncryptingCodec, KeyRing, OperatorReadableConverter
from settings import Settings
from telemetry.temporal import interceptors

# An API call must be answered within 3 s even when Temporal is away.
PATIENCE = RetryConfig(initial_interval_millis=100, max_elapsed_time_millis=1_500, max_retries=4)

log = structlog.stdlib.get_logger("heliograph.engine")


def data_converter(ring: KeyRing) -> DataConverter:
    """Pydantic models, encrypted; failures too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_converter_class=OperatorReadableConverter,
        payload_codec=EncryptingCodec(ring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(
    settings: Settings, *, lazy: bool = False, patient: bool = True, runtime: Runtime | None = None
) -> Client:
    """Connects as temporalio.envconfig says (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, TLS, API key, profiles).

    `lazy` connects on the first call; not `patient` gives up on a call after 1.5 s; `runtime` is one whose metrics
    are read.
    Raises RuntimeError when the server cannot be reached.
    """
    config = ClientConfig.load_client_connect_config(override_env_vars=settings.temporal_environment())
    return await Client.connect(
        **config,
        data_converter=data_converter(KeyRing(settings.encryption_keys)),
        lazy=lazy,
        connect_timeout=timedelta(seconds=2),
        retry_config=None if patient else PATIENCE,
        interceptors=interceptors() if settings.otel_exporter_otlp_endpoint else (),
        runtime=runtime,
    )


async def connect_when_up(settings: Settings, *, pause: float = 1.0, runtime: Runtime | None = None) -> Client:
    """Connects as soon as the server can be reached, and says every time that it waits."""
    while True:
        try:
            return await connect(settings, runtime=runtime)
        except (RuntimeError, RPCError):
            log.warning("waiting for Temporal", address=settings.temporal_address)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 10.0)


async def retention(client: Client) -> timedelta:
    """How long the namespace keeps closed workflows, and so refuses their IDs. Raises RPCError."""
    answer = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    return answer.config.workflow_execution_retention_ttl.ToTimedelta()
