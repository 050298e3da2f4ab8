"""What senders are told, in protobuf or JSON.

Source: OpenTelemetry protocol specification 1.x, "OTLP/HTTP Response" and "OTLP/gRPC Throttling"; google.rpc.Status.
"""

import math

import orjson

from collector.core.engine import TRACES_KIND
from collector.core.errors import DriftlineError, Overloaded, Rejected
from collector.receivers.accept import Encoding, Prepared
from collector.wire.schema import Response, RetryInfo, RpcStatus

INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

STORE_RETRY_SECONDS = 5.0
"""How long senders should wait after the store failed: a full disk is not put right in one second."""

_REJECTED_KEYS = {True: "rejectedSpans", False: "rejectedLogRecords"}
_RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"


def success(prepared: Prepared, encoding: Encoding) -> bytes:
    """An Export...ServiceResponse; with a partial success if something was left out."""
    if not prepared.rejected:
        return b"" if encoding == "protobuf" else b"{}"
    count, message = len(prepared.rejected), prepared.message
    if encoding == "json":
        key = _REJECTED_KEYS[prepared.kind == TRACES_KIND]
        return orjson.dumps({"partialSuccess": {key: str(count), "errorMessage": message}})
    response = Response()
    response.partial_success.rejected = count
    response.partial_success.error_message = message
    encoded: bytes = response.SerializeToString()
    return encoded


def failure(code: int, message: str, encoding: Encoding, retry_seconds: float | None = None) -> bytes:
    """A google.rpc.Status; with a RetryInfo if trying again can help."""
    if encoding == "json":
        return orjson.dumps({"code": code, "message": message})
    status = RpcStatus(code=code, message=message)
    if retry_seconds is not None:
        info = RetryInfo()
        nanoseconds = round(retry_seconds * 1e9)
        info.retry_delay.seconds, info.retry_delay.nanos = divmod(nanoseconds, 10**9)
        status.details.add(type_url=_RETRY_INFO_TYPE, value=info.SerializeToString())
    encoded: bytes = status.SerializeToString()
    return encoded


def code_of(error: DriftlineError) -> int:
    """The gRPC status of a request that was not accepted."""
    match error:
        case Rejected(reason="internal"):
            return INTERNAL
        case Rejected():
            return INVALID_ARGUMENT
        case Overloaded():
            return RESOURCE_EXHAUSTED
        case _:
            return UNAVAILABLE


def retry_seconds_of(error: DriftlineError) -> float | None:
    """When to try again; None if that is of no use."""
    match error:
        case Rejected():
            return None
        case Overloaded():
            delay = error.retry_after_seconds
            return delay if math.isfinite(delay) and delay > 0 else 1.0
        case _:
            return STORE_RETRY_SECONDS
