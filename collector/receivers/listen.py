"""What the receivers may be told: how much to take, how long to wait, whom to trust."""

import ssl
from pathlib import Path

from pydantic import Field

from collector.core.errors import UserError
from collector.core.settings import Duration, Settings, Size
from collector.core.telemetry import Telemetry
from collector.receivers.access import Access, GuessLimit, RequestRate, parse_guesses
from collector.receivers.senders import TenantNames
from collector.receivers.tokens import TokenList


class TlsConfig(Settings):
    """A certificate with its key, both as PEM files."""

    certificate: Path = Field(description="PEM file, with the certificates between it and the root")
    key: Path = Field(description="PEM file, not encrypted")
    client_ca: Path | None = Field(
        default=None, description="PEM file of authorities; senders must have a certificate of one; null: need none"
    )


class ReceiveConfig(Settings):
    """What OTLP receivers take from a sender."""

    max_body: Size = Field(default=16 * 2**20, gt=0, description="the longest request, as sent and after decompression")
    max_in_flight: Size = Field(default=256 * 2**20, gt=0, description="memory for requests that are being received")
    max_connections: int = Field(default=1000, ge=1, description="connections (HTTP) or calls (gRPC) at a time")
    max_connections_per_address: int | None = Field(
        default=None, ge=1, description="of those, from one address (IPv6: a /64); null: nine tenths of them"
    )
    request_timeout: Duration = Field(
        default=30.0, gt=0, description="a request must have arrived whole after this long"
    )
    idle_timeout: Duration = Field(
        default=120.0, gt=0, description="a connection is closed after this long without a request"
    )
    tokens: TokenList = Field(default=(), description="who may come in: send, or look; none: anybody")
    tenants: TenantNames | None = Field(default=None, description="several tenants; null: there is but one")
    rate_limit: RequestRate | None = Field(
        default=None, description="requests of each token, or else address, such as `600 per minute`; null: any number"
    )
    wrong_tokens: GuessLimit | None = Field(
        default=parse_guesses("10 per minute"),
        description="different wrong tokens from one address, after which it is refused for a while; null: any number",
    )
    tls: TlsConfig | None = Field(default=None, description="serve OTLP over TLS 1.2 or newer")

    @property
    def counted_tenants(self) -> TenantNames | None:
        """For counting: tenants that tokens are bound to are named too, so that they have metrics of their own."""
        if self.tenants is None:
            return None
        bound = [one.tenant for one in self.tokens if one.tenant is not None]
        return self.tenants.model_copy(update={"allow": [*bound, *self.tenants.names()]})


def server_tls(tls: TlsConfig, name: str = "tls") -> ssl.SSLContext:
    """The TLS context of a listener; `name` is of the key, for errors.

    Raises:
        UserError: a file is missing, or certificate and key do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"{name}: {tls.certificate} and {tls.key} cannot be used: {error}") from error
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(tls.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"{name}.client_ca: {tls.client_ca} cannot be used: {error}") from error
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


def access_of(config: ReceiveConfig, telemetry: Telemetry) -> Access:
    """Who may come in at the listeners of a service."""
    return Access(config.tokens, telemetry, config.rate_limit, config.wrong_tokens)
