"""A scorer of your own. In the configuration: `scorers: [{use: ./my_scorers.py:politeness, passing: ">= 0.6"}]`."""

from collector.core.model import Trace
from scorers.base import scorer

COURTESIES = ("please", "thank", "happy to help", "glad", "welcome", "sorry")


@scorer(name="politeness", needs=("output",), range=(0, 1), passing=">= 0.5")
def politeness(trace: Trace) -> float:
    """Half a point for each courtesy in the answer, one point at most."""
    answer = (trace.answer or "").lower()
    return min(1.0, 0.5 * sum(word in answer for word in COURTESIES))
