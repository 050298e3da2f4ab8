"""What senders are told, in protobuf or JSON.

Source: OpenTelemetry protocol specification 1.x, "OTLP/HTTP Response" and "OTLP/gRPC Throttling"; google.rpc.Status.
"""

import math

import orjson

from collector.core.engine import TRACES_KIND
from collector.core.errors import DriftlineError, Overloaded, Rejected
from collector.receivers.accept import Encoding, Prepared
from collector.receivers.access import FORBIDDEN_ROLE, UNAUTHORIZED
from collector.receivers.senders import BAD_TENANT, FORBIDDEN_TENANT, NO_TENANT
from collector.wire.schema import BadRequest, Response, RetryInfo, RpcStatus

INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

STORE_RETRY_SECONDS = 5.0
"""How long senders should wait after the store failed: a full disk is not put right in one second."""

_REJECTED_KEYS = {True: "rejectedSpans", False: "rejectedLogRecords"}
_RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"
_BAD_REQUEST_TYPE = "type.googleapis.com/google.rpc.BadRequest"
_CODES = {"internal": INTERNAL, UNAUTHORIZED: UNAUTHENTICATED, NO_TENANT: UNAUTHENTICATED} | {
    FORBIDDEN_TENANT: PERMISSION_DENIED,
    FORBIDDEN_ROLE: PERMISSION_DENIED,
    BAD_TENANT: INVALID_ARGUMENT,
}


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
    """A google.rpc.Status; with a RetryInfo if trying again can help, with a BadRequest if the data is at fault."""
    if encoding == "json":
        return _failure_in_json(code, message, retry_seconds)
    status = RpcStatus(code=code, message=message)
    if retry_seconds is not None:
        info = RetryInfo()
        nanoseconds = round(retry_seconds * 1e9)
        info.retry_delay.seconds, info.retry_delay.nanos = divmod(nanoseconds, 10**9)
        status.details.add(type_url=_RETRY_INFO_TYPE, value=info.SerializeToString())
    elif code == INVALID_ARGUMENT:
        bad = BadRequest()
        bad.field_violations.add(description=message)
        status.details.add(type_url=_BAD_REQUEST_TYPE, value=bad.SerializeToString())
    encoded: bytes = status.SerializeToString()
    return encoded


def _failure_in_json(code: int, message: str, retry_seconds: float | None) -> bytes:
    """The same in the JSON mapping of protobuf, in which the type of a detail is beside its fields."""
    status: dict[str, object] = {"code": code, "message": message}
    if retry_seconds is not None:
        status["details"] = [{"@type": _RETRY_INFO_TYPE, "retryDelay": f"{round(retry_seconds, 9):.9g}s"}]
    elif code == INVALID_ARGUMENT:
        status["details"] = [{"@type": _BAD_REQUEST_TYPE, "fieldViolations": [{"description": message}]}]
    return orjson.dumps(status)


def code_of(error: DriftlineError) -> int:
    """The gRPC status of a request that was not accepted."""
    match error:
        case Rejected():
            return _CODES.get(error.reason, INVALID_ARGUMENT)
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
