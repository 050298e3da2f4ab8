"""What `serve` does while it waits for its end."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from driftline.commands import serve


class Service:
    def __init__(self, ended: threading.Event) -> None:
        self._ended, self._looks = ended, 0

    def failures(self) -> list[str]:
        self._looks += 1
        if self._looks == 3:
            self._ended.set()
        return []


class Ring:
    def __init__(self) -> None:
        self.myself = self


@pytest.fixture
def no_collection_by_itself() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection_by_itself")
@pytest.mark.parametrize(("every_seconds", "stays"), [(0.0, False), (3600.0, True)])
def test_garbage_that_grew_old_is_collected_by_the_clock(
    monkeypatch: pytest.MonkeyPatch, every_seconds: float, stays: bool
) -> None:
    monkeypatch.setattr(serve, "_WATCH_SECONDS", 0.001)
    ended = threading.Event()
    left = weakref.ref(Ring())
    serve.wait(Service(ended), ended, threading.Event(), list, every_seconds)  # type: ignore[arg-type]
    assert (left() is not None) == stays


def test_a_wish_to_read_the_configuration_again_is_heard_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_WATCH_SECONDS", 0.001)
    ended, wanted, reloads = threading.Event(), threading.Event(), list[int]()
    wanted.set()
    serve.wait(Service(ended), ended, wanted, lambda: reloads.append(1))  # type: ignore[arg-type]
    assert reloads == [1]
