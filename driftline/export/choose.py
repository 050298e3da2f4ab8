"""Which traces become cases: by scorer, verdict, period and slices, from what the view knows of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.records import Sheet


@dataclass(frozen=True)
class Choice:
    """What a trace must have.

    Attributes:
        scorer: only scores of this one count; None: of any.
        failing: only scores that did not pass count.
        slices: values that the trace must have.
    """

    scorer: str | None = None
    failing: bool = True
    slices: Mapping[str, str] = field(default_factory=dict)

    def scores(self, sheet: Sheet) -> list[dict[str, Any]]:
        """The decisions with the scores for which a trace is chosen; none: it is not."""
        if any(sheet["slices"].get(name) != value for name, value in self.slices.items()):
            return []
        return [decision for decision in sheet["decisions"] if self._counts(decision)]

    def _counts(self, decision: Mapping[str, Any]) -> bool:
        score = decision.get("score")
        if score is None or (self.scorer is not None and decision["scorer"] != self.scorer):
            return False
        return not self.failing or score["passed"] is False


def choose(sheets: Iterable[Sheet], choice: Choice) -> Iterator[tuple[Sheet, list[dict[str, Any]]]]:
    """The traces that are chosen, each with the scores for which it is."""
    for sheet in sheets:
        if scores := choice.scores(sheet):
            yield sheet, scores
