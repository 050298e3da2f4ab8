"""What was done to this service, by whom: one JSON object a line, to the logger `driftline.audit`.

What is told is a closed set of facts: names, addresses, paths, counts. No token, no value of a configuration, and
nothing of what applications send is among them.
"""

import logging
from datetime import UTC, datetime

import orjson

AUDIT = logging.getLogger("driftline.audit")

_LONGEST_FACT = 500


def record(action: str, **facts: str | int | float | list[str] | None) -> None:
    """Tell of one action.

    >>> with_address = {"address": "192.0.2.7", "reason": "unauthorized"}
    >>> record("access.refused", **with_address)

    Args:
        action: what was done, such as `config.reloaded`.
        facts: by whom and to what; a text that is too long is cut.
    """
    told = {name: fact[:_LONGEST_FACT] if isinstance(fact, str) else fact for name, fact in facts.items()}
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    AUDIT.info("%s", orjson.dumps({"at": at, "action": action, **told}).decode())
