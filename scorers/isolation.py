"""Runs code that is not ours on a thread of its own, so that the pipeline outlives whatever it does.

A thread cannot be stopped. A call that does not come back in time is abandoned together with its thread, and the next
call gets a new one; once `MOST_HUNG` abandoned threads are still at it, the code is not called again in this process.
What this cannot stop: code that ends the process (`os._exit`, a crash in native code) or takes all its memory.
"""

import asyncio
import inspect
import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from queue import SimpleQueue
from threading import Event, Lock, Thread

MOST_HUNG = 3


class TimedOut(Exception):
    """The call did not come back in time."""


class Suspended(Exception):
    """The code hung too often; it is no longer called."""


class Raised(Exception):
    """The call ended with an exception, which is the cause; it may be a SystemExit or the like."""


class Call:
    """One call, and what came of it."""

    def __init__(self, function: Callable[[], object], timeout_seconds: float) -> None:
        self.function = function
        self.timeout_seconds = timeout_seconds
        self.done = Event()
        self.result: object = None
        self.error: BaseException | None = None
        self.seconds = 0.0

    def result_or_raise(self) -> object:
        """Raises TimedOut, Suspended, Raised."""
        if isinstance(self.error, TimedOut | Suspended):
            raise self.error
        if self.error is not None:
            raise Raised from self.error
        return self.result


class _Group:
    """Calls of coroutines that run side by side."""

    def __init__(self, calls: Sequence[Call], at_once: int) -> None:
        self.calls = calls
        self.at_once = at_once
        self.done = Event()


class _Worker:
    """One thread with one event loop for what is async."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call | _Group | None] = SimpleQueue()
        self.thread = Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def submit(self, call: Call | _Group) -> None:
        self._calls.put(call)

    def stop(self) -> None:
        """The thread ends once its present call, if any, comes back."""
        self._calls.put(None)

    def _run(self) -> None:
        with asyncio.Runner() as loop:  # made when the first coroutine comes, and kept for its clients and locks
            while (call := self._calls.get()) is not None:
                if isinstance(call, Call):
                    _perform(call, loop)
                else:
                    _perform_all(call, loop)


def _end_if_forked(pid: int) -> None:
    """A child that the code forked, and that came back as if it were us, would live on with our files and sockets."""
    if os.getpid() != pid:
        os._exit(0)


def _perform(call: Call, loop: asyncio.Runner) -> None:
    pid = os.getpid()
    try:
        result = call.function()
        call.result = loop.run(_bounded(result, call.timeout_seconds)) if inspect.isawaitable(result) else result
    except BaseException as error:  # the one place where nothing may pass: SystemExit would end the thread unseen
        call.error = error
    finally:
        _end_if_forked(pid)
        call.done.set()


def _perform_all(group: _Group, loop: asyncio.Runner) -> None:
    pid = os.getpid()
    try:
        loop.run(_side_by_side(group))
    finally:
        _end_if_forked(pid)
        group.done.set()


async def _side_by_side(group: _Group) -> None:
    free = asyncio.Semaphore(group.at_once)

    async def perform(call: Call) -> None:
        async with free:
            began = time.monotonic()
            try:
                result = call.function()
                is_async = inspect.isawaitable(result)
                call.result = await _bounded(result, call.timeout_seconds) if is_async else result  # type: ignore[arg-type]
            except BaseException as error:  # a cancelled or exiting call is no reason to end those beside it
                call.error = error
            call.seconds = time.monotonic() - began
            call.done.set()

    await asyncio.gather(*(perform(call) for call in group.calls))


async def _bounded(result: Awaitable[object], timeout_seconds: float) -> object:
    scope = asyncio.timeout(timeout_seconds)
    try:
        async with scope:
            return await result
    except TimeoutError:
        if scope.expired():  # ours, not one that the code raised itself
            raise TimedOut from None
        raise


class Isolated:
    """Calls one piece of foreign code: one call at a time, or several at once of what is async."""

    def __init__(self, name: str, timeout_seconds: float) -> None:
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._lock = Lock()
        self._worker: _Worker | None = None
        self._abandoned: list[_Worker] = []
        self.suspended = False

    def call(self, function: Callable[[], object]) -> object:
        """The result of `function`, awaited if it is a coroutine.

        Raises:
            TimedOut, Suspended, Raised.
        """
        with self._lock:
            call = Call(function, self._timeout_seconds)
            self._submit(call)
            # A coroutine is cancelled on the loop at the timeout itself; a little more lets it end in order.
            if not call.done.wait(self._timeout_seconds * 1.1 + 0.05):
                self._abandon()
                raise TimedOut
        return call.result_or_raise()

    def call_all(self, functions: Sequence[Callable[[], object]], at_once: int) -> Sequence[Call]:
        """Call all of these, up to `at_once` coroutines side by side. Each has the timeout for itself.

        Returns:
            The calls, in order: `result_or_raise` tells what came of each.
        """
        group = _Group([Call(function, self._timeout_seconds) for function in functions], at_once)
        with self._lock:
            try:
                self._submit(group)
            except Suspended as error:
                for call in group.calls:
                    call.error = error
                return group.calls
            rounds = math.ceil(len(functions) / at_once)
            if not group.done.wait(rounds * self._timeout_seconds * 1.1 + 0.05):
                self._abandon()
                # The thread may still write to its calls: what is told are others, those that were done by now apart.
                return [call if call.done.is_set() else _timed_out(call) for call in group.calls]
        return group.calls

    def close(self) -> None:
        """Let the thread end. Safe to call twice."""
        with self._lock:
            if self._worker is not None:
                self._worker.stop()
                self._worker = None

    def _submit(self, call: Call | _Group) -> None:
        """Raises Suspended."""
        if self.suspended:
            raise Suspended
        if self._worker is None:
            self._worker = _Worker(f"scorer-{self._name}")
        self._worker.submit(call)

    def _abandon(self) -> None:
        assert self._worker is not None
        self._worker.stop()
        self._abandoned = [worker for worker in [*self._abandoned, self._worker] if worker.thread.is_alive()]
        self._worker = None
        self.suspended = len(self._abandoned) >= MOST_HUNG


def _timed_out(call: Call) -> Call:
    told = Call(call.function, call.timeout_seconds)
    told.error = TimedOut()
    told.seconds = call.timeout_seconds
    return told
