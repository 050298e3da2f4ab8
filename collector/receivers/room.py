"""Memory that requests share: who finds none left waits until others are done, in the order they came."""

import asyncio
from collections import deque


class Room:
    """So many bytes; of one event loop."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = self._free_bytes = size_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, most_bytes: int) -> int:
        """Wait for so many bytes, or for all there are if that is less; how many it was. `give` them back."""
        taken = min(most_bytes, self._size_bytes)
        if not self._waiting and taken <= self._free_bytes:
            self._free_bytes -= taken
            return taken
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((taken, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it got them in the moment in which it gave up
                self.give(taken)
            raise
        return taken

    def give(self, taken_bytes: int) -> None:
        """Some that were taken are no longer needed."""
        self._free_bytes += taken_bytes
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._free_bytes):
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self._free_bytes -= wanted
                turn.set_result(None)
