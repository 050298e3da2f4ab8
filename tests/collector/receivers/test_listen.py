"""Limits, tokens and certificates of the listeners."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from pydantic import ValidationError

from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from collector.receivers.listen import ReceiveConfig, TlsConfig, server_tls
from collector.receivers.otlp_grpc import GrpcReceiver
from collector.receivers.otlp_http import HttpReceiver

TLS_FILES = Path(__file__).parents[2] / "data" / "tls"
CERTIFICATE, KEY = TLS_FILES / "localhost.crt", TLS_FILES / "localhost.key"  # made for these tests, trusted by nobody
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def config() -> ReceiveConfig:
    return ReceiveConfig(tls=TlsConfig(certificate=CERTIFICATE, key=KEY))


def test_http_over_tls(
    inbox: Any, telemetry: Telemetry, serving: Any, config: ReceiveConfig, traces_body: Callable[..., bytes]
) -> None:
    async def work() -> None:
        async with serving(HttpReceiver("127.0.0.1", 0, inbox, telemetry, config)) as receiver:
            trust = ssl.create_default_context(cafile=str(CERTIFICATE))
            async with httpx.AsyncClient(verify=trust) as client:
                for _ in range(2):
                    answer = await client.post(
                        f"https://localhost:{receiver.port}/v1/traces",
                        content=traces_body(),
                        headers={"content-type": "application/x-protobuf"},
                    )
                    assert answer.status_code == 200
                refused = await client.get(f"https://localhost:{receiver.port}/nowhere")
                assert refused.status_code == 404

    asyncio.run(work())
    assert len(inbox.taken) == 2


def test_grpc_over_tls(
    inbox: Any, telemetry: Telemetry, serving: Any, config: ReceiveConfig, traces_body: Callable[..., bytes]
) -> None:
    async def work() -> None:
        trust = grpc.ssl_channel_credentials(CERTIFICATE.read_bytes())
        async with (
            serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, config)) as receiver,
            grpc.aio.secure_channel(f"localhost:{receiver.port}", trust) as channel,
        ):
            assert await channel.unary_unary(TRACES)(traces_body(), timeout=10) == b""

    asyncio.run(work())
    assert len(inbox.taken) == 1


@pytest.mark.parametrize("key", [CERTIFICATE, TLS_FILES / "missing.key"])
def test_files_that_do_not_fit_are_an_error_for_people(inbox: Any, telemetry: Telemetry, key: Path) -> None:
    tls = TlsConfig(certificate=CERTIFICATE, key=key)
    with pytest.raises(UserError, match=f"{key.name} cannot be used"):
        server_tls(tls)
    with pytest.raises(UserError, match=f"{key.name} cannot be used"):
        asyncio.run(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, ReceiveConfig(tls=tls)).start())


@pytest.mark.parametrize("field", ["max_body", "max_in_flight", "max_connections", "request_timeout", "idle_timeout"])
def test_a_limit_of_zero_is_refused_and_not_taken_for_unset(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        ReceiveConfig(**{field: 0})


def test_a_token_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTLP_TOKEN", "s3cret")
    config = ReceiveConfig(**{"tokens": [{"name": "app", "role": "ingest", "env": "OTLP_TOKEN"}]})
    assert "s3cret" not in f"{config!r} {config} {config.model_dump_json()}"


def test_http_with_client_certificates_takes_only_who_has_one(
    inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Callable[..., bytes]
) -> None:
    mutual = ReceiveConfig(tls=TlsConfig(certificate=CERTIFICATE, key=KEY, client_ca=CERTIFICATE))

    async def work() -> None:
        async with serving(HttpReceiver("127.0.0.1", 0, inbox, telemetry, mutual)) as receiver:
            url = f"https://localhost:{receiver.port}/v1/traces"
            request = {"content": traces_body(), "headers": {"content-type": "application/x-protobuf"}}
            trust = ssl.create_default_context(cafile=str(CERTIFICATE))
            async with httpx.AsyncClient(verify=trust) as client:
                with pytest.raises(httpx.TransportError):
                    await client.post(url, **request)  # type: ignore[arg-type]
            trust.load_cert_chain(CERTIFICATE, KEY)
            async with httpx.AsyncClient(verify=trust) as client:
                assert (await client.post(url, **request)).status_code == 200  # type: ignore[arg-type]

    asyncio.run(work())
    assert len(inbox.taken) == 1


def test_grpc_with_client_certificates_takes_only_who_has_one(
    inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Callable[..., bytes]
) -> None:
    mutual = ReceiveConfig(tls=TlsConfig(certificate=CERTIFICATE, key=KEY, client_ca=CERTIFICATE))

    async def work() -> None:
        known = grpc.ssl_channel_credentials(CERTIFICATE.read_bytes(), KEY.read_bytes(), CERTIFICATE.read_bytes())
        stranger = grpc.ssl_channel_credentials(CERTIFICATE.read_bytes())
        async with (
            serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, mutual)) as receiver,
            grpc.aio.secure_channel(f"localhost:{receiver.port}", known) as channel,
            grpc.aio.secure_channel(f"localhost:{receiver.port}", stranger) as refused,
        ):
            assert await channel.unary_unary(TRACES)(traces_body(), timeout=10) == b""
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await refused.unary_unary(TRACES)(traces_body(), timeout=10)
            assert raised.value.code() == grpc.StatusCode.UNAVAILABLE

    asyncio.run(work())
    assert len(inbox.taken) == 1


def test_authorities_that_cannot_be_read_are_an_error_for_people() -> None:
    with pytest.raises(UserError, match=r"tls\.client_ca: .*localhost\.key cannot be used"):
        server_tls(TlsConfig(certificate=CERTIFICATE, key=KEY, client_ca=KEY))
