"""A deliverer on a fake clock with its store, and notifiers that keep what arrives and fail as told."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from alerts.base import Notification, Permanent
from alerts.deliver import Deliverer
from alerts.explain import Wording
from collector.core.clock import FakeClock
from collector.core.telemetry import Telemetry
from drift.base import Change

HOUR = 3600.0
FIRING, REMINDER, RESOLVED = "firing", "reminder", "resolved"


class Inline(Executor):
    """Runs at once, in the caller's thread."""

    def submit(self, function, /, *args, **kwargs) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class FakeNotifier:
    """Keeps what arrives; fails as long as it has an error to raise."""

    name: str = "hook"
    error: Exception | None = None
    poison: str | None = None  # the id of a change that spoils each group it is in
    poison_error: Exception = field(default_factory=lambda: Permanent("client_error", "no"))
    attempts: int = 0
    groups: list[list[tuple[str, str]]] = field(default_factory=list)

    @property
    def got(self) -> list[tuple[str, str]]:
        return [news for group in self.groups for news in group]

    def notify(self, notifications: Sequence[Notification]) -> None:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        if self.poison in [notification.fingerprint for notification in notifications]:
            raise self.poison_error
        self.groups.append([(n.fingerprint, REMINDER if n.reminder else n.status) for n in notifications])


@dataclass
class StateNotifier(FakeNotifier):
    """Wants to be told again every minute, as Alertmanager does."""

    repeat_seconds: float = 60.0


@dataclass
class DiaryNotifier(FakeNotifier):
    """Takes everything, pages or not."""

    takes_unpaged: bool = True


class World:
    """A deliverer with its time and its store."""

    def __init__(self, *notifiers: FakeNotifier, **options: float) -> None:
        self.notifiers, self.options = notifiers, options
        self.clock, self.telemetry = FakeClock(), Telemetry()
        self.store: dict[str, bytes] = {}
        self.deliverer = self.start()

    def start(self) -> Deliverer:
        return Deliverer(self.notifiers, Wording(), self.telemetry, clock=self.clock, executor=Inline(), **self.options)

    def run(self, seconds: float = 0.0) -> float:
        """Let time pass, run at each moment that the deliverer asks for, and commit each time."""
        until = self.clock.now_ns() + round(seconds * 1e9)
        while True:
            wait = self.deliverer.run_due(self.clock.now_ns())
            self.commit()
            left = (until - self.clock.now_ns()) / 1e9
            if left <= 0 < wait:
                return wait
            self.clock.advance(min(wait, left))

    def commit(self) -> None:
        for key, value in self.deliverer.take_state().items():
            if value is None:
                self.store.pop(key, None)
            else:
                self.store[key] = value

    def restart(self) -> None:
        self.deliverer = self.start()
        self.deliverer.restore(self.store)

    def count(self, outcome: str, reason: str, notifier: str = "hook") -> float:
        counter = next(i for i in self.telemetry.instruments() if i.name == "driftline_notifications")
        return counter.values().get((notifier, outcome, reason), 0)

    def fates(self) -> dict[str, float]:
        counter = next(i for i in self.telemetry.instruments() if i.name == "driftline_notification_changes")
        return {labels[0]: value for labels, value in counter.values().items()}


def over(change: Change, **fields: object) -> Change:
    values = {
        "status": "resolved",
        "resolved_ns": change.detected_ns + 10**9,
        "sequence": change.sequence + 1,
        **fields,
    }
    return replace(change, **values)
