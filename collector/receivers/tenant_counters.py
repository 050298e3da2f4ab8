"""What each tenant sends, for as many tenants as metrics may have labels."""

from collector.core.telemetry import OTHER, Telemetry
from collector.receivers.senders import TenantNames


class TenantCounters:
    """Counts by tenant. Those that the configuration names have labels first, then whoever comes, then none."""

    def __init__(self, telemetry: Telemetry, config: TenantNames) -> None:
        self._most = config.max_labels
        named = [*config.names(), *([config.default] if config.default is not None else [])]
        self._known = set(dict.fromkeys(named[: self._most]))
        self._items = telemetry.counter(
            "driftline_tenant_received_items", "Spans and log records accepted, by tenant.", ["tenant"], fold=["tenant"]
        )
        self._bytes = telemetry.counter(
            "driftline_tenant_received_bytes",
            "Bodies of accepted requests, after decompression, by tenant.",
            ["tenant"],
            unit="bytes",
            fold=["tenant"],
        )
        self._refused = telemetry.counter(
            "driftline_tenant_rejected_requests",
            "Requests not accepted, for now or for ever, by tenant; `tenant_share`: it has its share of the inbox.",
            ["tenant", "reason"],
            fold=["tenant"],
        )

    def stored(self, tenant: str, items: int, size_bytes: int) -> None:
        label = self._label(tenant)
        self._items.add(items, label)
        self._bytes.add(size_bytes, label)

    def refused(self, tenant: str, reason: str) -> None:
        self._refused.add(1, self._label(tenant), reason)

    def _label(self, tenant: str) -> str:
        if tenant in self._known:
            return tenant
        if len(self._known) < self._most:
            self._known.add(tenant)
            return tenant
        return OTHER
