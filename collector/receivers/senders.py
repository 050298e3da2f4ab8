"""Whose data it is that somebody sends: tenants.

A tenant is whoever shares the service with others: its spans never join another's trace, and it has a fair share of the
room. It is named by a header, as in Loki, Mimir and Tempo, or bound to the token.
"""

from collections.abc import Sequence

from pydantic import Field

from collector.core.errors import Rejected
from collector.core.settings import Settings
from collector.receivers.access import Access, bearer
from collector.receivers.tokens import TenantName, is_tenant

NO_TENANT = "no_tenant"
BAD_TENANT = "bad_tenant"
FORBIDDEN_TENANT = "forbidden_tenant"


class TenantNames(Settings):
    """Who shares the service: how a request says for which tenant it is."""

    header: str = Field(
        default="X-Scope-OrgID", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="header that has the name, in any case"
    )
    allow: Sequence[TenantName] | None = Field(default=None, description="the only tenants there are; null: any name")
    default: TenantName | None = Field(default=None, description="tenant of requests that name none; null: refused")
    max_labels: int = Field(default=100, ge=1, description="tenants with metrics of their own; the rest are `other`")

    def names(self) -> Sequence[str]:
        """The tenants that are known beforehand."""
        return self.allow or ()


class Senders:
    """Decides of each request to a listener whether it may come in, and whose it is.

    Args:
        listener: which, for counts and the audit log.
        access: None lets everybody in.
    """

    def __init__(self, listener: str, access: Access | None, tenants: TenantNames | None) -> None:
        self._listener, self._access, self._tenants = listener, access, tenants
        self.header = tenants.header.lower().encode() if tenants is not None else b""

    def admit(self, authorization: bytes, named: bytes, address: str = "") -> str:
        """The tenant of a request; empty where there are no tenants.

        Args:
            authorization: the header of that name, as sent.
            named: the value of the tenants' header, as sent.
            address: IP address that it came from.

        Raises:
            Rejected: `unauthorized`, `forbidden_role`, `no_tenant`, `bad_tenant` or `forbidden_tenant`.
            Overloaded: too many requests, or wrong tokens.
        """
        bound = ""
        if self._access is not None:
            bound = self._access.admit(self._listener, "ingest", bearer(authorization), address).tenant
        if self._tenants is None:
            return ""
        name = named.strip().decode("latin-1")
        if name and not is_tenant(name):
            raise Rejected(BAD_TENANT, f"{self._tenants.header}: {name[:150]!r} is no name of a tenant")
        if bound:
            if name and name != bound:
                raise Rejected(FORBIDDEN_TENANT, f"{self._tenants.header}: the token is of another tenant")
            return bound
        name = name or self._tenants.default or ""
        if not name:
            raise Rejected(NO_TENANT, f"say whose the data is: send {self._tenants.header}")
        if self._tenants.allow is not None and name not in self._tenants.allow and name != self._tenants.default:
            raise Rejected(FORBIDDEN_TENANT, f"{self._tenants.header}: {name!r} is no tenant here")
        return name
