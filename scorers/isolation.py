"""Runs code that is not ours on a thread of its own, so that the pipeline outlives whatever it does.

A thread cannot be stopped. A call that does not come back in time is abandoned together with its thread, and the next
call gets a new one; once `MOST_HUNG` abandoned threads are still at it, the code is not called again in this process.
What this cannot stop: code that ends the process (`os._exit`, a crash in native code) or takes all its memory.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from threading import Event, Lock, Thread

MOST_HUNG = 3


class TimedOut(Exception):
    """The call did not come back in time."""


class Suspended(Exception):
    """The code hung too often; it is no longer called."""


class Raised(Exception):
    """The call ended with an exception, which is the cause; it may be a SystemExit or the like."""


class _Call:
    def __init__(self, function: Callable[[], object], timeout_seconds: float) -> None:
        self.function = function
        self.timeout_seconds = timeout_seconds
        self.done = Event()
        self.result: object = None
        self.error: BaseException | None = None


class _Worker:
    """One thread with one event loop for what is async."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.thread = Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def submit(self, call: _Call) -> None:
        self._calls.put(call)

    def stop(self) -> None:
        """The thread ends once its present call, if any, comes back."""
        self._calls.put(None)

    def _run(self) -> None:
        with asyncio.Runner() as loop:  # made when the first coroutine comes, and kept for its clients and locks
            while (call := self._calls.get()) is not None:
                _perform(call, loop)


def _perform(call: _Call, loop: asyncio.Runner) -> None:
    try:
        result = call.function()
        call.result = loop.run(_bounded(result, call.timeout_seconds)) if inspect.isawaitable(result) else result
    except BaseException as error:  # the one place where nothing may pass: SystemExit would end the thread unseen
        call.error = error
    finally:
        call.done.set()


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
    """Calls one piece of foreign code, one call at a time."""

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
            if self.suspended:
                raise Suspended
            if self._worker is None:
                self._worker = _Worker(f"scorer-{self._name}")
            call = _Call(function, self._timeout_seconds)
            self._worker.submit(call)
            # A coroutine is cancelled on the loop at the timeout itself; a little more lets it end in order.
            if not call.done.wait(self._timeout_seconds * 1.1 + 0.05):
                self._abandon()
                raise TimedOut
        if isinstance(call.error, TimedOut):
            raise call.error
        if call.error is not None:
            raise Raised from call.error
        return call.result

    def close(self) -> None:
        """Let the thread end. Safe to call twice."""
        with self._lock:
            if self._worker is not None:
                self._worker.stop()
                self._worker = None

    def _abandon(self) -> None:
        assert self._worker is not None
        self._worker.stop()
        self._abandoned = [worker for worker in [*self._abandoned, self._worker] if worker.thread.is_alive()]
        self._worker = None
        self.suspended = len(self._abandoned) >= MOST_HUNG
