"""What goes between the service and the process in which the scorers of users run: calls there, outcomes back.

Calls are pickled. What comes back is JSON, since it is from a process in which anybody's code runs.
"""

import base64
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from scorers.base import Evidence, Score, Scorer
from scorers.loading import ScorerConfig

_LENGTH = struct.Struct(">I")
_MOST_BYTES = 2**30  # of one message
_RECEIVED_AT_ONCE = 2**20
_LEAST_SECONDS = 0.001  # 0 would not wait for what is there already


class Entry(NamedTuple):
    """A scorer to load: its name, its entry of the configuration, and the code that it is known as."""

    name: str
    config: ScorerConfig  # without calibration
    code_id: str


class Setup(NamedTuple):
    """The first message to the process."""

    entries: Sequence[Entry]
    base: str | None  # the folder that relative files start from
    path: Sequence[str]  # where modules are looked for
    log_level: int


def send(to: socket.socket, message: bytes) -> None:
    """Raises OSError, also TimeoutError."""
    to.sendall(_LENGTH.pack(len(message)) + message)


def receive(source: socket.socket, until: float | None = None) -> bytes:
    """The next message.

    Args:
        source: of the message.
        until: when to give up, by the monotonic clock; None: never.

    Raises:
        EOFError: the other end is closed.
        ValueError: it is longer than any.
        OSError: also TimeoutError.
    """
    (length,) = _LENGTH.unpack(_exactly(source, _LENGTH.size, until))
    if length > _MOST_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return _exactly(source, length, until)


def _exactly(source: socket.socket, count: int, until: float | None) -> bytes:
    parts, missing = [], count
    while missing:
        if until is not None:
            source.settimeout(max(_LEAST_SECONDS, until - time.monotonic()))
        part = source.recv(min(missing, _RECEIVED_AT_ONCE))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def pieces(scorer: Scorer, count: int) -> int:
    """How many of so many calls are answered together: where no answer comes, it was one of those that did it."""
    return scorer.batch or (count if scorer.concurrency > 1 else 1)


def told(score: Score) -> dict[str, Any]:
    """A checked score, as JSON has it."""
    vector = score.vector
    assert vector is None or isinstance(vector, bytes)
    return {
        "value": score.value,
        "passed": score.passed,
        "label": score.label,
        "explanation": score.explanation,
        "evidence": [[one.start, one.end, one.type, one.text] for one in score.evidence],
        "span_id": score.span_id,
        "vector": None if vector is None else base64.b64encode(vector).decode(),
        "terms": list(score.terms),
    }


def score_of(value: Any) -> Score:
    """The same back. What is in it is not checked.

    Raises:
        ValueError: it is nothing that `told` gives.
    """
    try:
        known = {**value, "evidence": tuple(Evidence(*one) for one in value["evidence"])}
        known["vector"] = None if known["vector"] is None else base64.b64decode(known["vector"])
        return Score(**known)
    except (TypeError, KeyError) as error:
        raise ValueError(f"no score: {type(error).__name__}") from None
