"""Something that is done every now and then, on a thread of its own."""

import threading
from collections.abc import Callable


class Periodic:
    """Calls `action`, which must not raise, `seconds` after `start` and after each call, until `stop`."""

    def __init__(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        self._seconds, self._action = seconds, action
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """Return when no call runs any more; whether it ran until now. Safe twice and without `start`."""
        self._stopping.set()
        if not self._thread.is_alive():
            return False
        self._thread.join()
        return True

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._action()
