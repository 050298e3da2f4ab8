"""The way of one change to one notifier: what is to be sent next, when, and what an outcome means. Pure arithmetic."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["firing", "reminder", "resolved"]

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 300.0  # an endpoint that came back hears of an open page within five minutes
NANOSECONDS = 1_000_000_000


class Step(NamedTuple):
    """What is to be sent, not before `due_ns`."""

    kind: Kind
    due_ns: int


@dataclass(slots=True)
class Leg:
    """How far the news of one change has come with one notifier.

    A receiver hears `firing`, then reminders while the change lasts, then `resolved`: never a later one before an
    earlier one, and nothing twice once it is known to have arrived.
    """

    fired: bool = False  # it knows that the change began
    resolved: bool = False  # it knows that the change is over, or need not
    lost: bool = False  # the last attempt to tell it of the beginning was given up
    sent_ns: int = 0  # when something last arrived
    attempts: int = 0  # failures of the step at hand
    since_ns: int = 0  # when the step at hand first failed
    next_ns: int = 0  # not to be tried before
    alone: bool = False  # failed in company: to be sent by itself, so that it spoils nothing else
    held: bool = False  # a limit holds the step at hand back

    def step(self, *, over: bool, repeat_seconds: float | None) -> Step | None:
        """The next step; None if there is none. No reminders if `repeat_seconds` is None.

        What ended while its beginning was held back is told by its end alone, which says all of it.
        """
        if self.resolved:
            return None
        if not self.fired:
            return None if over and self.lost else Step("resolved" if over and self.held else "firing", self.next_ns)
        if over:
            return Step("resolved", self.next_ns)
        if repeat_seconds is None:
            return None
        return Step("reminder", max(self.next_ns, self.sent_ns + round(repeat_seconds * NANOSECONDS)))

    def arrived(self, kind: Kind, now_ns: int) -> None:
        self.fired, self.lost = True, False
        self.resolved = kind == "resolved"
        self.sent_ns = now_ns
        self._settle()

    def failed(self, key: str, now_ns: int, wait_seconds: float) -> None:
        """Not now: again after the back-off, or after what the other side asked for if that is longer."""
        self.since_ns = self.since_ns or now_ns
        wait_seconds = max(wait_seconds, backoff_seconds(key, self.attempts))
        self.attempts += 1
        self.next_ns = now_ns + round(wait_seconds * NANOSECONDS)

    def give_up(self, kind: Kind, now_ns: int, repeat_seconds: float) -> None:
        """Never like this: a change that lasts is told again at its next reminder, the rest is over."""
        self.lost = kind == "firing"
        self.resolved = kind == "resolved"
        self._settle()
        self.next_ns = now_ns + round(repeat_seconds * NANOSECONDS)

    def changed_state(self) -> None:
        """The change is over, or lasts again: what failed before says nothing about what is to be sent now."""
        if self.fired:
            self._settle()

    def _settle(self) -> None:
        self.attempts = self.since_ns = self.next_ns = 0
        self.alone = self.held = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Leg":
        """
        Raises:
            ValueError: these are not the fields of a leg.
        """
        leg = cls()
        for name, value in fields.items():
            known = getattr(leg, name, None)
            if type(value) is not type(known):
                raise ValueError(f"{name} is {value!r:.80}, which is no part of a leg")
            setattr(leg, name, value)
        return leg


def backoff_seconds(key: str, attempts: int) -> float:
    """Doubling from a second to five minutes, less up to a half that depends on `key`: the same on every run, but not
    the same for all that failed together.

    >>> [round(backoff_seconds("change-1 webhook", attempts), 2) for attempts in (0, 1, 8, 40)]
    [0.9, 1.3, 194.63, 240.18]
    """
    full = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(attempts, 30), LONGEST_BACKOFF_SECONDS)
    digest = blake2b(f"{key} {attempts}".encode("utf-8", "replace"), digest_size=8).digest()
    return full * (1 - 0.5 * int.from_bytes(digest, "big") / 2**64)
