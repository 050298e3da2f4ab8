import asyncio
import sys
from collections.abc import Iterator
from threading import Event

import pytest

from scorers.isolation import MOST_HUNG, Isolated, Raised, Suspended, TimedOut
from tests.real.parts.process import wait_until


@pytest.fixture
def isolated() -> Iterator[Isolated]:
    one = Isolated("test", timeout_seconds=0.05)
    yield one
    one.close()


def test_a_result_comes_back(isolated: Isolated) -> None:
    assert isolated.call(lambda: 7) == 7


def test_a_coroutine_is_awaited(isolated: Isolated) -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 7

    assert isolated.call(answer) == 7


def exit_now() -> object:
    return sys.exit(3)


def interrupt() -> object:
    raise KeyboardInterrupt


def recurse() -> object:
    return recurse()


async def exit_later() -> object:
    return sys.exit(3)


@pytest.mark.parametrize("bad", [exit_now, interrupt, recurse, exit_later, lambda: 1 / 0])
def test_whatever_is_raised_is_a_failure_and_the_next_call_works(isolated: Isolated, bad: object) -> None:
    patient = Isolated("patient", timeout_seconds=10)
    with pytest.raises(Raised) as raised:
        patient.call(bad)  # type: ignore[arg-type]
    assert raised.value.__cause__ is not None
    assert patient.call(lambda: 1) == 1
    patient.close()


def test_a_timeout_of_the_code_itself_is_its_own_exception(isolated: Isolated) -> None:
    async def gives_up() -> None:
        raise TimeoutError

    with pytest.raises(Raised):
        isolated.call(gives_up)


def test_a_slow_coroutine_is_cancelled_and_leaves_no_thread_behind(isolated: Isolated) -> None:
    cancelled = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    for _ in range(MOST_HUNG + 1):
        with pytest.raises(TimedOut):
            isolated.call(waits)
    wait_until(lambda: len(cancelled) == MOST_HUNG + 1, "the last to be cancelled")


def test_a_call_that_hangs_is_left_behind_and_the_next_works(isolated: Isolated) -> None:
    release = Event()
    with pytest.raises(TimedOut):
        isolated.call(release.wait)
    assert isolated.call(lambda: 1) == 1
    release.set()


def test_code_that_hangs_time_and_again_is_suspended() -> None:
    release, one = Event(), Isolated("hangs", timeout_seconds=0.01)
    for _ in range(MOST_HUNG):
        with pytest.raises(TimedOut):
            one.call(release.wait)
    with pytest.raises(Suspended):
        one.call(lambda: 1)
    release.set()
    one.close()


def test_slow_calls_that_come_back_do_not_add_up_to_a_suspension() -> None:
    one = Isolated("slow", timeout_seconds=0.01)
    for _ in range(MOST_HUNG + 2):
        release = Event()
        with pytest.raises(TimedOut):
            one.call(release.wait)
        release.set()
        for worker in one._abandoned:
            worker.thread.join(5)
    assert one.call(lambda: 1) == 1
    one.close()
    one.close()
