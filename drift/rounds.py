"""Which of many series have changed: e-detector d-BH, which asks less of each series the more of them change together.

A *round* is what is found within a quarter of an hour of event time. With r changes in it so far, and the evidence of
all other series from high to low, the next k are changes too, for the largest k whose k-th evidence is at least
1 / (r + k). So one series alone needs a whole unit, and of ten that fail together each needs about a tenth.

What holds: let a round end with R changes, V of them of series that did not change. Each of these V had evidence of
1/R or more, so V/R is at most what their evidence adds up to. That evidence is given up as they are found, and what is
given up never exceeds, in expectation, the start mass put in (`drift.budget`). Summed over all rounds,

    E[sum of V/R] <= start mass handed out

at any stopping time, however the series depend on one another. A round in which nothing has changed counts 1, and so
the expected number of false rounds stays within the budget of false pages. So does that of false pages: see
`drift.pages`, which says what of a round is one. Source: Dandapanthula, Ramdas, "Multiple testing in multi-stream
sequential change detection", arXiv 2501.04130 (e-detector d-BH), with rounds, after which the evidence of what was
found starts anew, in place of one stopping time.
"""

from collections.abc import Sequence
from typing import Any

from drift.base import Change
from drift.series import Series

_ROUND_NS = 15 * 60 * 10**9
_MOST_TOGETHER = 64
_LEAST = 1.0 / _MOST_TOGETHER  # evidence below it is not looked at: thousands of quiet series cost nothing


def discoveries(evidence: Sequence[float], already: int = 0) -> int:
    """How many of these, sorted from high to low, are changes, with so many in the round already.

    >>> discoveries([0.9, 0.6, 0.1]), discoveries([0.9, 0.4, 0.35]), discoveries([0.9, 0.4, 0.1], already=2)
    (2, 3, 2)
    """
    return max((k for k, one in enumerate(evidence, 1) if one * (already + k) >= 1.0), default=0)


class Rounds:
    """The budgeted series that have some evidence, and the round that is under way."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}  # of the round: a service's first
        self._began_ns = -_ROUND_NS
        self._size = 0
        self._rising: dict[str, Series] = {}
        self._too_early: dict[str, int] = {}  # points of series of which there was too little to tell
        self._due = False

    def page_for(self, service: str) -> str:
        """The page of the round that a change in a service is part of: that of the service, else the first."""
        return self.pages.get(service) or next(iter(self.pages.values()), "")

    def note(self, series: Series) -> None:
        """It took a point."""
        if series.rising >= _LEAST:
            self._rising[series.key] = series
            self._due = True
        else:
            self.forget(series)

    def forget(self, series: Series) -> None:
        self._rising.pop(series.key, None)
        self._too_early.pop(series.key, None)

    def take(self, now_ns: int) -> list[tuple[Series, Change]]:
        """The changes found since the last call, the strongest first.

        A series with too few points since its onset to tell of is none yet, and counts for no other.
        """
        if not self._due:
            return []
        self._due = False
        if not 0 <= now_ns - self._began_ns < _ROUND_NS:
            self._size = 0
            self.pages.clear()
        ready = [series for key, series in self._rising.items() if self._too_early.get(key) != series.points]
        ready.sort(key=lambda series: (-series.rising, series.key))
        while count := discoveries([series.rising for series in ready], self._size):
            threshold = 1.0 / (self._size + count)
            found = [(series, series.prepare(threshold)) for series in ready[:count]]
            told = [(series, episode) for series, episode in found if episode is not None]
            if len(told) == count:
                self._began_ns = self._began_ns if self._size else now_ns
                self._size += count
                for series, _ in told:
                    self.forget(series)
                return [(series, series.open(episode, now_ns)) for series, episode in told]
            self._too_early.update({series.key: series.points for series, episode in found if episode is None})
            ready = [series for series, _ in told] + ready[count:]
        return []

    def to_json(self) -> dict[str, Any]:
        return {"began_ns": self._began_ns, "size": self._size, "pages": self.pages}

    def load_json(self, raw: Any) -> None:
        """Take over the round that `to_json` gave; ValueError, TypeError or KeyError if it is none."""
        began_ns, size, pages = raw["began_ns"], raw["size"], raw["pages"]
        if type(began_ns) is not int or type(size) is not int or size < 0 or type(pages) is not dict:
            raise ValueError(f"round is {raw!r:.80}; a time, a number of changes and their pages are needed")
        self._began_ns, self._size = began_ns, size
        self.pages = {str(service): str(page) for service, page in pages.items()}
