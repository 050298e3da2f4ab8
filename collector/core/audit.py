"""What was done to this service, by whom: one JSON object a line, to the logger `driftline.audit`.

What is told is a closed set of facts: names, addresses, paths, counts. No token, no value of a configuration, and
nothing of what applications send is among them.
"""

import logging
from datetime import UTC, datetime

import orjson

from collector.core.printable import printable

AUDIT = logging.getLogger("driftline.audit")

_LONGEST_FACT = 500
_MOST_IN_A_LIST = 100


def record(action: str, **facts: str | int | float | list[str] | None) -> None:
    """Tell of one action.

    >>> with_address = {"address": "192.0.2.7", "reason": "unauthorized"}
    >>> record("access.refused", **with_address)

    Args:
        action: what was done, such as `config.reloaded`.
        facts: by whom and to what; a text or a list that is too long is cut.
    """
    told = {name: _told(fact) for name, fact in facts.items()}
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    AUDIT.info("%s", orjson.dumps({"at": at, "action": action, **told}).decode())


def _told(fact: str | int | float | list[str] | None) -> str | int | float | list[str] | None:
    """A fact as it may stand in a line: what is not printable could end a line for some readers, or hide in it."""
    if isinstance(fact, str):
        return printable(fact[:_LONGEST_FACT])[:_LONGEST_FACT]
    return [str(_told(one)) for one in fact[:_MOST_IN_A_LIST]] if isinstance(fact, list) else fact
