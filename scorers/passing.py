"""What passes: expressions such as `>= 0.5`, `== 1` or `in calm, friendly`, over the value or the label of a score."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_COMPARISON = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S+)\s*")
_ONE_OF = re.compile(r"\s*in\s+(.+?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Passing:
    """A parsed expression. `threshold` is None for one over labels.

    >>> parse_passing(">= 0.5").judge(0.7, None)
    True
    >>> parse_passing("in calm, friendly").judge(None, "rude")
    False
    """

    text: str
    threshold: float | None
    labels: frozenset[str] = frozenset()
    _compare: Callable[[float, float], bool] = field(default=operator.ge, repr=False, compare=False)

    def judge(self, value: float | None, label: str | None) -> bool | None:
        """Whether a score passes; None if it has not what the expression looks at."""
        if self.threshold is None:
            return None if label is None else label in self.labels
        return None if value is None else self._compare(value, self.threshold)


def parse_passing(text: str) -> Passing:
    """Read an expression.

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    comparison = _COMPARISON.fullmatch(text)
    if comparison is not None:
        sign, number = comparison.groups()
        try:
            threshold = float(number)
        except ValueError:
            threshold = math.nan
        if math.isfinite(threshold):
            return Passing(f"{sign} {number}", threshold, frozenset(), _COMPARE[sign])
    listed = _ONE_OF.fullmatch(text)
    labels = frozenset(part.strip() for part in listed.group(1).split(",") if part.strip()) if listed else frozenset()
    if labels:
        return Passing(f"in {', '.join(sorted(labels))}", None, labels)
    raise ValueError(
        f"{text!r} does not say what passes; write one of >=, <=, >, <, ==, != and a number, such as '>= 0.5',"
        " or the labels that pass, such as 'in calm, friendly'"
    )
