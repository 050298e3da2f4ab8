"""A notifier with its policy: how often it is reminded, how much it takes at once, and how many messages in an hour."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from alerts.base import Notifier
from alerts.journal import Told
from alerts.limit import Window, parse_rate_limit
from alerts.plain import minute
from alerts.schedule import Kind, Leg, Step

LARGEST_GROUP = 64  # notifications in one request


class Part(NamedTuple):
    """One notification of a call: whose it is, and what it tells."""

    change_id: str
    kind: Kind


class Due(NamedTuple):
    """A step that somebody is to hear of now."""

    told: Told
    leg: Leg
    step: Step

    @property
    def is_end(self) -> bool:
        """The end of something whose beginning was told. It never waits for a limit: somebody would go on working on
        what is over, and there are no more ends than there were beginnings."""
        return self.step.kind == "resolved" and self.leg.fired


@dataclass(slots=True)
class Call:
    """A notifier at work."""

    future: "Future[None]"
    parts: list[Part]


class Outlet:
    """A notifier, what it says of itself in its optional attributes, and what it is doing."""

    def __init__(self, notifier: Notifier, repeat_seconds: float) -> None:
        """
        Raises:
            ValueError: the notifier's `rate_limit` is none.
        """
        self.notifier = notifier
        self.repeat_seconds: float = getattr(notifier, "repeat_seconds", repeat_seconds)
        self.takes_unpaged: bool = getattr(notifier, "takes_unpaged", False)
        self.largest_group: int = min(LARGEST_GROUP, max(1, getattr(notifier, "largest_group", LARGEST_GROUP)))
        limit = getattr(notifier, "rate_limit", None)
        self.window = Window(None if limit is None else parse_rate_limit(limit))
        self.call: Call | None = None

    def choose(self, due: Sequence[Due], now_ns: int) -> tuple[list[Due], list[Due]]:
        """The next group to send of what is due, and what the limit holds back."""
        held: list[Due] = []
        if self.window.room(now_ns) == 0:
            held = [one for one in due if not one.is_end]
            due = [one for one in due if one.is_end]
        if self.window.limit is not None:
            due = sorted(due, key=lambda one: one.step.kind == "reminder")  # news before what is known
        if not due:
            return [], held
        if due[0].leg.alone:
            return [due[0]], held
        return [one for one in due if not one.leg.alone][: self.largest_group], held

    def note(self, waiting: int, now_ns: int) -> str:
        """What the last message that the limit leaves room for says of it; empty for any other."""
        limit = self.window.limit
        if limit is None or self.window.room(now_ns) != 1:
            return ""
        until = minute(self.window.free_ns(now_ns, more=1))
        more = f"{waiting} more wait, and what" if waiting else "What"
        return f"The limit of {limit.text} is reached: {more} begins before {until} is told then."

    def ready_ns(self, due: Due, now_ns: int) -> int:
        """When a step can be taken."""
        return due.step.due_ns if due.is_end else max(due.step.due_ns, self.window.free_ns(now_ns))
