"""Every exception of ours, so that callers can tell what trying again would do.

DriftlineError
  Rejected        these bytes will never be accepted; says why, for the sender and for a counter
  Overloaded      not now; says when to try again
  Lost            a partition went to another worker; ask for partitions again
  Fenced          somebody else owns everything here now; stop working
  StoreError      the log or state could not be written or read
  UserError       a person must change something: configuration, arguments, a plug-in
"""


class DriftlineError(Exception):
    """Base of all errors that Driftline raises on purpose."""


class Rejected(DriftlineError):
    """Input that can never be accepted.

    `reason` is one word of a closed set that is fit for a metric label (`malformed`, `too_large`, `bad_gzip`, ...);
    the message names the field, its value and what is allowed.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Overloaded(DriftlineError):
    """No room now. Senders should wait `retry_after_seconds` and send the same again."""

    def __init__(self, reason: str, message: str, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Lost(DriftlineError):
    """A partition went to another owner, as it does when workers come and go; this one may ask for partitions again."""


class Fenced(DriftlineError):
    """Another process took over; nothing of the transaction was kept."""


class StoreError(DriftlineError):
    """The store failed; the message says what a person can do about it."""


class UserError(DriftlineError):
    """Something only a person can put right. `problems` are whole lines, each with the path of the wrong value."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
