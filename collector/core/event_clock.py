"""Event time: how far the world that sends us spans has come, told from nothing but the spans."""

_SECOND = 10**9
_BELIEVED_STEP_NS = 3600 * _SECOND  # a step ahead that one time may make on its own
_AHEAD_TIMES = 8  # this many in a row prove a longer step ahead: a silence, not one bad clock
_BEHIND_TIMES = 256  # this many in a row prove that the clock had run ahead of the world


class EventClock:
    """How far event time has come, by times that may be late, early or wrong.

    It never takes the word of a single one for a step of more than an hour: a few in a row must agree. It goes back
    only when hundreds in a row are more than an hour behind. So neither a broken clock in one service nor the replay of
    an old recording can stop it for long.
    """

    __slots__ = ("_ahead", "_ahead_least", "_behind", "now_ns")

    def __init__(self) -> None:
        self.now_ns = -1
        self._ahead = self._ahead_least = self._behind = 0

    def advance(self, at_ns: int) -> int:
        """Take the next time; returns by how many nanoseconds believed time moved on."""
        step = at_ns - self.now_ns
        if self.now_ns < 0:
            self.now_ns = at_ns
            return 0
        if 0 <= step <= _BELIEVED_STEP_NS:
            self._ahead = self._behind = 0
            self.now_ns = at_ns
            return step
        if step > 0:
            return self._step_ahead(at_ns)
        self._ahead = 0
        if step >= -_BELIEVED_STEP_NS:
            self._behind = 0
        else:
            self._behind += 1
            if self._behind >= _BEHIND_TIMES:
                self._behind = 0
                self.now_ns = at_ns
        return 0

    def _step_ahead(self, at_ns: int) -> int:
        self._behind = 0
        self._ahead_least = at_ns if self._ahead == 0 else min(at_ns, self._ahead_least)
        self._ahead += 1
        if self._ahead < _AHEAD_TIMES:
            return 0
        step = self._ahead_least - self.now_ns
        self.now_ns, self._ahead = self._ahead_least, 0
        return step

    def to_json(self) -> list[int]:
        return [self.now_ns, self._ahead, self._ahead_least, self._behind]

    def load_json(self, raw: object) -> None:
        """Take over what `to_json` gave; ValueError if it is not."""
        if type(raw) is not list or len(raw) != 4 or any(type(v) is not int for v in raw):
            raise ValueError(f"event clock is {raw!r:.80}; four whole numbers are needed")
        self.now_ns, self._ahead, self._ahead_least, self._behind = raw
