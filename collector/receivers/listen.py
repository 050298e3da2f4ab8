"""What the receivers may be told: how much to take, how long to wait, whom to trust."""

import ssl
from hmac import compare_digest
from pathlib import Path

from pydantic import Field

from collector.core.errors import UserError
from collector.core.settings import Duration, Secret, Settings, Size


class TlsConfig(Settings):
    """A certificate with its key, both as PEM files."""

    certificate: Path = Field(description="PEM file, with the certificates between it and the root")
    key: Path = Field(description="PEM file, not encrypted")


class ReceiveConfig(Settings):
    """What OTLP receivers take from a sender."""

    max_body: Size = Field(default=16 * 2**20, gt=0, description="the longest request, as sent and after decompression")
    max_in_flight: Size = Field(default=256 * 2**20, gt=0, description="memory for requests that are being received")
    max_connections: int = Field(default=1000, ge=1, description="connections (HTTP) or calls (gRPC) at a time")
    request_timeout: Duration = Field(
        default=30.0, gt=0, description="a request must have arrived whole after this long"
    )
    idle_timeout: Duration = Field(
        default=120.0, gt=0, description="a connection is closed after this long without a request"
    )
    token: Secret | None = Field(default=None, description="senders must send `authorization: Bearer TOKEN`")
    tls: TlsConfig | None = Field(default=None, description="serve OTLP over TLS 1.2 or newer")


def server_tls(tls: TlsConfig) -> ssl.SSLContext:
    """The TLS context of a listener.

    Raises:
        UserError: a file is missing, or certificate and key do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"tls: {tls.certificate} and {tls.key} cannot be used: {error}") from error
    return context


def cannot_listen(host: str, port: int, error: Exception) -> UserError:
    """The error for an address that cannot be bound."""
    return UserError(f"cannot listen at {address_text(host, port)}: {error}")


def address_text(host: str, port: int) -> str:
    """
    >>> address_text("::1", 4318)
    '[::1]:4318'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_authorized(config: ReceiveConfig, authorization: bytes) -> bool:
    """Whether a sender that sent this `authorization` may send; anybody may if no token is set."""
    if config.token is None:
        return True
    scheme, _, token = authorization.strip().partition(b" ")
    expected = config.token.get_secret_value().encode()
    return scheme.lower() == b"bearer" and compare_digest(token.strip(), expected)
