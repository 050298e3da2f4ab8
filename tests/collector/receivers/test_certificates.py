"""Certificates that are renewed while a listener serves: new connections see the new ones, old connections go on."""

import asyncio
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest

from collector.core.errors import UserError
from collector.core.telemetry import Telemetry
from collector.receivers.listen import ReceiveConfig, TlsConfig, server_tls
from collector.receivers.otlp_grpc import GrpcReceiver
from collector.receivers.otlp_http import HttpReceiver

TLS_FILES = Path(__file__).parents[2] / "data" / "tls"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def put(folder: Path, name: str) -> TlsConfig:
    """A listener's files, which are those of `name` from now on; clients must have the same."""
    for end in ("crt", "key"):
        shutil.copy(TLS_FILES / f"{name}.{end}", folder / f"tls.{end}")
    shutil.copy(TLS_FILES / f"{name}.crt", folder / "ca.crt")
    return TlsConfig(certificate=folder / "tls.crt", key=folder / "tls.key", client_ca=folder / "ca.crt")


def trust(name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(TLS_FILES / f"{name}.crt"))
    context.load_cert_chain(TLS_FILES / f"{name}.crt", TLS_FILES / f"{name}.key")
    return context


def test_http_serves_the_renewed_certificate_and_trusts_the_renewed_authority(
    tmp_path: Path, inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Callable[..., bytes]
) -> None:
    tls = put(tmp_path, "localhost")

    async def work() -> None:
        async with serving(HttpReceiver("127.0.0.1", 0, inbox, telemetry, ReceiveConfig(tls=tls))) as receiver:
            url = f"https://localhost:{receiver.port}/v1/traces"
            request: Any = {"content": traces_body(), "headers": {"content-type": "application/x-protobuf"}}
            async with httpx.AsyncClient(verify=trust("localhost")) as old:
                assert (await old.post(url, **request)).status_code == 200
                put(tmp_path, "renewed")
                await receiver.renew(server_tls(tls))
                assert (await old.post(url, **request)).status_code == 200, "its connection goes on"
            async with httpx.AsyncClient(verify=trust("renewed")) as new:
                assert (await new.post(url, **request)).status_code == 200
            async with httpx.AsyncClient(verify=trust("localhost")) as late:
                with pytest.raises(httpx.TransportError):
                    await late.post(url, **request)
            stranger = ssl.create_default_context(cafile=str(TLS_FILES / "renewed.crt"))
            stranger.load_cert_chain(TLS_FILES / "localhost.crt", TLS_FILES / "localhost.key")
            async with httpx.AsyncClient(verify=stranger) as client:
                with pytest.raises(httpx.TransportError):
                    await client.post(url, **request)

    asyncio.run(work())
    assert len(inbox.taken) == 3


def test_grpc_serves_the_renewed_certificate_and_trusts_the_renewed_authority(
    tmp_path: Path, inbox: Any, telemetry: Telemetry, serving: Any, traces_body: Callable[..., bytes]
) -> None:
    tls = put(tmp_path, "localhost")

    def credentials(trusts: str, has: str) -> Any:
        files = [TLS_FILES / f"{trusts}.crt", TLS_FILES / f"{has}.key", TLS_FILES / f"{has}.crt"]
        return grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))

    async def work() -> None:
        async with serving(GrpcReceiver("127.0.0.1", 0, inbox, telemetry, ReceiveConfig(tls=tls))) as receiver:

            def channel(trusts: str, has: str) -> Any:
                options = (("grpc.use_local_subchannel_pool", 1),)
                return grpc.aio.secure_channel(f"localhost:{receiver.port}", credentials(trusts, has), options)

            async def call(on: Any) -> str:
                try:
                    await on.unary_unary(TRACES)(traces_body(), timeout=10)
                except grpc.aio.AioRpcError as error:
                    return str(error.code().name)
                return "OK"

            async with channel("localhost", "localhost") as old:
                assert await call(old) == "OK"
                put(tmp_path, "renewed")
                await receiver.renew(tls)
                assert await call(old) == "OK", "its connection goes on"
                async with channel("renewed", "renewed") as new:
                    assert await call(new) == "OK"
                for trusts, has in (("localhost", "localhost"), ("renewed", "localhost")):
                    async with channel(trusts, has) as late:
                        assert await call(late) == "UNAVAILABLE"

    asyncio.run(work())
    assert len(inbox.taken) == 3


def test_files_that_do_not_fit_are_refused_before_anything_changes(tmp_path: Path) -> None:
    tls = put(tmp_path, "localhost")
    shutil.copy(TLS_FILES / "renewed.crt", tmp_path / "tls.crt")
    with pytest.raises(UserError, match=r"web_tls: .*tls\.key cannot be used"):
        server_tls(tls, "web_tls")
