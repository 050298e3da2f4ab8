"""The memory of answered calls in the state of a partition: a row for each commit that changed it, while it counts."""

from collections import deque
from collections.abc import Mapping

from collector.answers import MOST_ANSWERS, Answers
from collector.core.engine import Transaction

_ROW = "answers:"
_DIGITS = 12  # of a row's number, so that text is in the order of numbers


class AnswerState:
    """Restores `answers` from a partition's state, and puts what changed into transactions."""

    def __init__(self, window_ns: int, state: Mapping[str, bytes], limit: int = MOST_ANSWERS) -> None:
        self.answers = Answers(window_ns, limit)
        self._rows: deque[tuple[str, int]] = deque()  # with the number of the last change that it holds
        self._next = 0
        for key in sorted(key for key in state if key.startswith(_ROW)):
            self.answers.restore(state[key])
            self._rows.append((key, self.answers.changes))
            self._next = int(key.removeprefix(_ROW)) + 1

    def save(self, transaction: Transaction) -> None:
        """Keep what changed since the last call, and let go of the rows of which all is forgotten or changed since."""
        changed = self.answers.take_changed()
        if changed is not None:
            key = f"{_ROW}{self._next:0{_DIGITS}}"
            self._next += 1
            transaction.put(key, changed)
            self._rows.append((key, self.answers.changes))
        oldest = self.answers.oldest_change
        while self._rows and self._rows[0][1] < oldest:
            transaction.delete(self._rows.popleft()[0])
