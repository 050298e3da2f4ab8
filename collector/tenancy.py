"""Whose a trace is. Two tenants may send the same trace id, by accident or on purpose: those are two traces.

A record of the inbox has its tenant as key. From there to the view a trace is known by its 16 bytes and, right after
them, the name of its tenant; where there are no tenants that is the trace id alone.
"""

from collections.abc import Iterable

from collector.core.model import LogSlice, SpanSlice

_ID_BYTES = 16


def tenant_of_record(kind: str, key: bytes) -> bytes:
    """The tenant of a record of the inbox. What somebody else wrote there has no kind, and a key of its own choice."""
    return key if kind else b""


def claim(slices: Iterable[SpanSlice] | Iterable[LogSlice], tenant: bytes) -> None:
    """Make spans, or log records, a tenant's own."""
    if tenant:
        for item in slices:
            item.trace_id += tenant


def trace_id_of(owned: bytes) -> bytes:
    """The trace id as it was sent.

    >>> trace_id_of(bytes(16) + b"acme") == bytes(16)
    True
    """
    return owned[:_ID_BYTES]


def tenant_of(owned: bytes) -> str:
    """
    >>> tenant_of(bytes(16) + b"acme")
    'acme'
    """
    return owned[_ID_BYTES:].decode("utf-8", "replace")


def owned_id(trace_id: str, tenant: str) -> bytes:
    """The bytes by which a trace of a tenant is known.

    Args:
        trace_id: in hexadecimal.
        tenant: empty if there are none.
    """
    return bytes.fromhex(trace_id) + tenant.encode()
