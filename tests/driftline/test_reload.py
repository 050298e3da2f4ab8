"""Requests for a reload: each is answered once, by the thread that owns the service, and none is left waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from driftline.reload import Outcome, Requests


class Reloader:
    """Remembers for whom it was called."""

    def __init__(self, outcome: Callable[[], Outcome]) -> None:
        self.outcome, self.asked = outcome, list[str | None]()

    def reload(self, by: str | None = None) -> Outcome:
        self.asked.append(by)
        return self.outcome()


def requests(outcome: Callable[[], Outcome] = Outcome) -> tuple[Requests, Reloader, threading.Event]:
    reloader, wanted = Reloader(outcome), threading.Event()
    return Requests(reloader, wanted), reloader, wanted  # type: ignore[arg-type]


def asked(ours: Requests, wanted: threading.Event, *users: str, then: Callable[[], None]) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(len(users)) as threads:
        answers = [threads.submit(ours.ask, user) for user in users]
        while ours._waiting.qsize() < len(users):
            assert wanted.wait(20)
        then()
        return [answer.result(20) for answer in answers]


def test_all_that_wait_are_answered_by_one_reload() -> None:
    ours, reloader, wanted = requests(lambda: Outcome(["sample.rate"]))
    found = asked(ours, wanted, "ben", "ana", "ana", then=ours.work)
    assert found == [{"changed": ["sample.rate"], "problems": (), "renewed": ()}] * 3
    assert reloader.asked == ["ana, ben"]


def test_a_signal_has_no_user() -> None:
    ours, reloader, _ = requests()
    ours.work()
    assert reloader.asked == [None]


def test_a_reload_that_raises_leaves_nobody_waiting() -> None:
    def fails() -> Outcome:
        raise RuntimeError("a fault of ours")

    ours, _, wanted = requests(fails)

    def work() -> None:
        with pytest.raises(RuntimeError):
            ours.work()

    (found,) = asked(ours, wanted, "ana", then=work)
    assert "could not be read again" in found["error"]


def test_a_service_that_ends_leaves_nobody_waiting() -> None:
    ours, reloader, wanted = requests()
    (found,) = asked(ours, wanted, "ana", then=ours.close)
    assert found == {"error": "it is about to end"}
    assert ours.ask("ben") == found
    assert reloader.asked == []
