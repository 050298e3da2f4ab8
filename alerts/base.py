"""What a notifier is given, what it may answer, and nothing else: retrying is the deliverer's business.

Retryable    not now; the same again later may arrive
Permanent    never like this; a person must change something first
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias, get_args, runtime_checkable

from collector.core.errors import DriftlineError
from drift.base import Change

Reason: TypeAlias = Literal[
    "timeout",  # no answer in time
    "connection",  # refused, reset, unreachable
    "dns",  # the name has no address
    "tls",  # no trust in the certificate, or no common protocol
    "rate_limited",  # told to come back later
    "server_error",  # the other side's fault, or a notifier that raised what it should not
    "client_error",  # our request was refused as wrong
    "auth",  # our credentials were refused
    "bad_response",  # an answer that is none, or a redirect
    "too_large",  # the other side takes less at once
]
REASONS: tuple[str, ...] = get_args(Reason)


_LAST_NS = 253_402_300_799 * 1_000_000_000  # 9999-12-31T23:59:59Z


class DeliveryError(DriftlineError):
    """Base of the two ways a delivery can fail; `reason` is fit for a metric label, the message for a person."""

    def __init__(self, reason: Reason, message: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason is {reason!r}; it must be one of {', '.join(REASONS)}")
        super().__init__(message)
        self.reason: Reason = reason


class Retryable(DeliveryError):
    """The same notification may arrive later, not before `retry_after_seconds` if that is known.

    `status` is that of an HTTP answer; 0 if there was none.
    """

    def __init__(self, reason: Reason, message: str, retry_after_seconds: float = 0.0, status: int = 0) -> None:
        super().__init__(reason, message)
        self.retry_after_seconds = retry_after_seconds
        self.status = status


class Permanent(DeliveryError):
    """The same notification will never arrive."""


def as_delivery_error(error: BaseException) -> DeliveryError:
    """What a notifier raised; what it should not have raised is the other side's fault, as it were, and tried again."""
    if isinstance(error, DeliveryError):
        return error
    return Retryable("server_error", f"the notifier raised {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Notification:
    """A change put in words, for one moment of sending. Holds nothing of the content of traces.

    `fingerprint` is the id of the change: all notifications of one change share it, so that a receiver can tell what it
    has seen. `starts_at_ns` is when the change was detected: from then on it is "open", and a delay of minutes between
    onset and detection must not look like a slow delivery. The estimated onset, which is earlier, is in the words.
    """

    fingerprint: str
    sequence: int
    status: Literal["firing", "resolved"]
    reminder: bool  # sent before with this status; said again because it still holds
    starts_at_ns: int
    ends_at_ns: int | None  # None while firing
    sent_at_ns: int
    labels: Mapping[str, str]  # who this concerns: equal for all notifications of a change
    annotations: Mapping[str, str]  # what to read; `summary` and `description` are always there
    change: Change  # the numbers


@runtime_checkable
class Notifier(Protocol):
    """Sends notifications somewhere. Called by one thread at a time; must bound its own time."""

    @property
    def name(self) -> str:
        """A short word for metrics and logs, unique among the notifiers of a service."""
        ...

    def notify(self, notifications: Sequence[Notification]) -> None:
        """Send all or none.

        Raises:
            Retryable: not now.
            Permanent: never like this.
        """
        ...


def rfc3339(at_ns: int) -> str:
    """A moment as RFC 3339 text in UTC, to the millisecond; what no calendar holds becomes the nearest it does.

    >>> rfc3339(1_700_000_000_250_000_000)
    '2023-11-14T22:13:20.250Z'
    """
    at_ns = min(max(at_ns, 0), _LAST_NS)
    moment = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03d}Z"
