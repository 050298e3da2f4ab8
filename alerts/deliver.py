"""Changes in, notifications out: each notifier hears of each page once, again while it lasts, and when it is over.

Grouping, deduplication, repetition and retrying live here and nowhere else. The deliverer asks no clock and stores
nothing itself: the driver hands in records of the `changes` log and the time, and after each `run_due` commits
`take_state()` together with its log offset. What was sent but not committed before a crash is sent again; that is at
most one step of a change, so that even then nobody hears of a beginning after the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from alerts.base import DeliveryError, Notification, Notifier, Permanent, Retryable, as_delivery_error
from alerts.compose import compose
from alerts.explain import Wording
from alerts.history import Delivery, Outcome
from alerts.journal import Fate, Journal, Told
from alerts.outcomes import Outcomes
from alerts.outlet import Call, Due, Outlet, Part
from alerts.schedule import NANOSECONDS, Kind
from collector.core.clock import Clock, SystemClock
from collector.core.telemetry import Telemetry
from drift.base import Change

_ATTEMPTS_A_RUN = 100  # so that no notifier keeps the driver from reading new changes
_IN_FLIGHT_SECONDS = 0.1  # how soon to look again while a notifier is at work
_IDLE_SECONDS = 60.0
_FAULTS_OF_ONE = ("server_error", "bad_response", "client_error", "too_large")  # may be due to one of a group
_LIMITS = "limits/"  # what is stored of a notifier's window


class Deliverer:
    """Tells notifiers of changes. For one driver thread; notifiers work in threads of their own."""

    def __init__(
        self,
        notifiers: Sequence[Notifier],
        wording: Wording,
        telemetry: Telemetry,
        *,
        repeat_seconds: float = 4 * 3600.0,
        give_up_seconds: float = 6 * 3600.0,
        clock: Clock | None = None,
        executor: Executor | None = None,
    ) -> None:
        """
        Args:
            repeat_seconds: between reminders, for notifiers that do not say how often themselves (`repeat_seconds`).
            give_up_seconds: how long one notification is tried again; 0 tries once.
            clock: measures how long notifiers take.
            executor: where notifiers run; a thread for each if None.
        """
        self._outlets = {notifier.name: Outlet(notifier, repeat_seconds) for notifier in notifiers}
        self._wording = wording
        self._give_up_ns = round(give_up_seconds * NANOSECONDS)
        self._journal = Journal()
        self._uncommitted: set[tuple[str, str]] = set()  # (notifier, change): the next step waits for the commit
        self._outcomes = Outcomes(telemetry, clock or SystemClock(), self._outlets)
        self._executor = executor or ThreadPoolExecutor(max(1, len(notifiers)), thread_name_prefix="driftline-notify")

    def accept(self, change: Change) -> Fate:
        """Take the next record of the `changes` log; a record that was taken before changes nothing."""
        fate = self._journal.accept(change)
        self._outcomes.change(fate)
        return fate

    def run_due(self, now_ns: int) -> float:
        """Start what is due, take in what has finished; returns the seconds after which to commit and call again.

        Does not wait for notifiers: a slow one delays nobody else.

        Args:
            now_ns: the wall clock's time.
        """
        waits = [_IDLE_SECONDS]
        for name, outlet in self._outlets.items():
            for _ in range(_ATTEMPTS_A_RUN):
                self._take_in(outlet, now_ns)
                if outlet.call is not None or not self._start(name, outlet, now_ns):
                    break
            waits.append(self._wait_seconds(name, outlet, now_ns))
        self._forget_finished()
        return max(0.0, min(waits))

    def take_state(self) -> dict[str, bytes | None]:
        """What changed since the last call, by key; None: to be deleted. To be committed before the next `run_due`."""
        self._uncommitted.clear()
        windows = {_LIMITS + name: outlet.window.take_state() for name, outlet in self._outlets.items()}
        return {**self._journal.take_state(), **{key: state for key, state in windows.items() if state is not None}}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Go on from stored state; entries that cannot be read are counted and left out."""
        self._outcomes.unreadable(self._journal.restore(state))
        for name, outlet in self._outlets.items():
            if not outlet.window.restore(state.get(_LIMITS + name)):
                self._outcomes.unreadable(1)

    def active(self) -> list[Change]:
        """The changes that last, oldest first."""
        return sorted((told.change for told in self._journal if not told.over), key=lambda change: change.detected_ns)

    def deliveries(self, change_id: str) -> Sequence[Delivery]:
        """What was done to tell of a change, oldest first; may be asked by any thread."""
        return self._journal.deliveries(change_id)

    def close(self, now_ns: int, timeout_seconds: float = 10.0) -> None:
        """Wait for notifiers at work, take in their outcomes, start nothing more. Take the state afterwards."""
        calls = [outlet.call.future for outlet in self._outlets.values() if outlet.call]
        wait(calls, timeout_seconds)
        for outlet in self._outlets.values():
            self._take_in(outlet, now_ns)
        self._executor.shutdown(wait=False, cancel_futures=True)

    # --- what is due ---------------------------------------------------------------------------------------------

    def _steps(self, name: str, outlet: Outlet) -> Iterator[Due]:
        """What a notifier is still to be told, now or later."""
        for told in self._journal:
            leg = told.leg(name)
            if told.change.paged or outlet.takes_unpaged or leg.fired:
                repeat_seconds = outlet.repeat_seconds if told.change.paged else None
                step = leg.step(over=told.over, repeat_seconds=repeat_seconds)
                if step is not None:
                    yield Due(told, leg, step)

    def _wait_seconds(self, name: str, outlet: Outlet, now_ns: int) -> float:
        """Until the notifier's next step; on the way, how many beginnings and ends it has not heard of."""
        steps = list(self._steps(name, outlet))
        self._outcomes.pending(name, sum(1 for one in steps if one.step.kind != "reminder"))
        if outlet.call is not None:
            return _IN_FLIGHT_SECONDS
        return min(((outlet.ready_ns(one, now_ns) - now_ns) / NANOSECONDS for one in steps), default=_IDLE_SECONDS)

    def _forget_finished(self) -> None:
        """Changes that are over and of which nobody is to hear any more."""
        awaited = {told.change.id for name, outlet in self._outlets.items() for told, *_ in self._steps(name, outlet)}
        for told in [told for told in self._journal if told.over and told.change.id not in awaited]:
            self._journal.finish(told.change.id)

    # --- one call of a notifier ----------------------------------------------------------------------------------

    def _start(self, name: str, outlet: Outlet, now_ns: int) -> bool:
        """Hand what is due to a notifier that is free; whether there was anything."""
        due = [
            one
            for one in self._steps(name, outlet)
            if one.step.due_ns <= now_ns and (name, one.told.change.id) not in self._uncommitted
        ]
        due.sort(key=lambda one: (one.step.due_ns, one.told.change.detected_ns, one.told.change.id))
        group, held = outlet.choose(due, now_ns)
        for one in held:
            self._hold_back(name, one, now_ns)
        if not group:
            return False
        notes = [""] * (len(group) - 1) + [outlet.note(len(due) - len(group), now_ns)]
        notifications = [
            self._notification(one.told.change, one.step.kind, now_ns, note)
            for one, note in zip(group, notes, strict=True)
        ]
        parts = [Part(one.told.change.id, one.step.kind) for one in group]
        outlet.call = Call(self._executor.submit(self._outcomes.timed, outlet.notifier, notifications), parts)
        return True

    def _hold_back(self, name: str, one: Due, now_ns: int) -> None:
        """Note that a step waits for the limit; once, however long it does."""
        if not one.leg.held:
            one.leg.held = True
            self._journal.touch(one.told.change.id)
            self._outcomes.settled(name, one.step.kind, "held_back", None)
            one.told.record(_delivery(name, one.step.kind, "held_back", None, now_ns))

    def _notification(self, change: Change, kind: Kind, now_ns: int, note: str) -> Notification:
        status: Literal["firing", "resolved"] = "resolved" if kind == "resolved" else "firing"
        made = compose(change, self._wording, now_ns, status, reminder=kind == "reminder")
        return made if not note else replace(made, annotations={**made.annotations, "rate_limit": note})

    # --- what came of it ------------------------------------------------------------------------------------------

    def _take_in(self, outlet: Outlet, now_ns: int) -> None:
        """The outcome of a call that has finished."""
        call = outlet.call
        if call is None or not call.future.done():
            return
        outlet.call = None
        error = _error_of(call.future)
        if error is None:
            outlet.window.add(now_ns)
        else:
            self._outcomes.log(outlet.notifier.name, len(call.parts), error)
        for part in call.parts:
            told = self._journal.get(part.change_id)
            if told is None:
                continue
            self._journal.touch(part.change_id)
            self._uncommitted.add((outlet.notifier.name, part.change_id))
            self._settle(outlet, told, part, error, now_ns, in_company=len(call.parts) > 1)

    def _settle(
        self, outlet: Outlet, told: Told, part: Part, error: DeliveryError | None, now_ns: int, *, in_company: bool
    ) -> None:
        name = outlet.notifier.name
        leg = told.leg(name)
        one_may_spoil_it = in_company and error is not None and error.reason in _FAULTS_OF_ONE
        outcome: Outcome
        if error is None:
            outcome = "delivered"
            told.arrived(name, part.kind, now_ns)
        elif isinstance(error, Permanent) and one_may_spoil_it:
            outcome = "split"
            leg.alone = True  # which one it is shows when each goes by itself
        elif isinstance(error, Retryable) and now_ns - (leg.since_ns or now_ns) < self._give_up_ns:
            outcome = "retry"
            leg.alone = leg.alone or one_may_spoil_it
            leg.failed(f"{part.change_id} {name}", now_ns, error.retry_after_seconds)
        else:
            outcome = "refused" if isinstance(error, Permanent) else "given_up"
            leg.give_up(part.kind, now_ns, outlet.repeat_seconds)
        self._outcomes.settled(name, part.kind, outcome, error)
        told.record(_delivery(name, part.kind, outcome, error, now_ns))


def _delivery(name: str, kind: Kind, outcome: Outcome, error: DeliveryError | None, now_ns: int) -> Delivery:
    reason, message = ("", "") if error is None else (error.reason, str(error))
    return Delivery(name, kind, outcome, reason, message, now_ns, now_ns)


def _error_of(future: "Future[None]") -> DeliveryError | None:
    with suppress(Exception):
        error = future.exception()
        return None if error is None else as_delivery_error(error)
    return Retryable("timeout", "cancelled")
