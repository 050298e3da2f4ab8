"""What a cluster is like, for people: traces that lie at its middle, and the words that set it apart."""

from collections import Counter, deque
from dataclasses import replace
from typing import Any, TypeAlias

from drift.base import Carrier, Change

TERM = "term"
"""The attribute of carriers that are words: `share` is the part of the cluster's texts that have it."""

_MOST_EXAMPLES = 16  # of a label
_MOST_TRACES = 5
_MOST_WORDS = 1000
_MOST_TERMS = 3
_LEAST_TRACES = 3
_LEAST_PART = 0.2
_LEAST_LIFT = 2.0

Example: TypeAlias = tuple[int, str, float, tuple[str, ...]]
"""Event time, trace id, cosine to the centre, terms."""


class Examples:
    """The newest members of each label, and how usual each word was while the clusters were learned."""

    def __init__(self) -> None:
        self._usual: Counter[str] = Counter()
        self._texts = 0
        self._newest: dict[str, deque[Example]] = {}

    def learn(self, terms: tuple[str, ...]) -> None:
        """Count the words of one of the texts that clusters are learned from."""
        self._texts += 1
        for term in terms:
            if term in self._usual or len(self._usual) < 4 * _MOST_WORDS:
                self._usual[term] += 1

    def learned(self) -> None:
        """No more will be: keep the commonest words."""
        self._usual = Counter(dict(sorted(self._usual.items(), key=lambda item: (-item[1], item[0]))[:_MOST_WORDS]))

    def words(self) -> "Examples":
        """The same without members."""
        twin = Examples()
        twin._usual, twin._texts = Counter(self._usual), self._texts
        return twin

    def add(self, label: str, example: Example) -> None:
        self._newest.setdefault(label, deque(maxlen=_MOST_EXAMPLES)).append(example)

    def drop(self, label: str) -> None:
        self._newest.pop(label, None)

    def describe(self, label: str, change: Change) -> Change:
        """The change of a label's share, with the traces at the middle of it and the words that grew with it."""
        since = [one for one in self._newest.get(label, ()) if one[0] >= change.onset_low_ns]
        if change.direction != "up" or not since:
            return change
        middle = sorted(since, key=lambda one: (-one[2], -one[0]))
        traces = list(dict.fromkeys(one[1] for one in middle if one[1]))[:_MOST_TRACES]
        slices = [carrier for carrier in change.carriers if carrier.attribute != TERM]
        carriers = [*slices[:1], *self._terms(since, change.size.value), *slices[1:]]
        return replace(change, typical_traces=traces or change.typical_traces, carriers=carriers)

    def _terms(self, since: list[Example], grown: float) -> list[Carrier]:
        """Words of the new members that are clearly more usual with them than they were with all."""
        found = []
        for term, count in Counter(term for one in since for term in set(one[3])).items():
            part, usual = count / len(since), self._usual[term] / max(self._texts, 1)
            if count >= _LEAST_TRACES and part >= _LEAST_PART and part >= _LEAST_LIFT * usual:
                after = min(max(usual + part * grown, 0.0), 1.0)
                found.append(Carrier(TERM, term, part, usual, after, False, mix=part, traffic=after))
        return sorted(found, key=lambda one: (-one.share + (one.before or 0.0), one.value))[:_MOST_TERMS]

    def to_json(self) -> dict[str, Any]:
        return {"texts": self._texts, "usual": self._usual, "newest": {k: list(v) for k, v in self._newest.items()}}

    def load_json(self, raw: Any) -> None:
        """Take over what `to_json` gave; ValueError, TypeError or KeyError if it cannot be."""
        newest: dict[str, deque[Example]] = {}
        for label, some in raw["newest"].items():
            newest[label] = deque(maxlen=_MOST_EXAMPLES)
            for at_ns, trace, cosine, terms in some:
                if [type(at_ns), type(trace), type(cosine), type(terms)] != [int, str, float, list]:
                    raise ValueError(f"an example of {label!r:.80} is not a time, a trace, a cosine and terms")
                newest[label].append((at_ns, trace, cosine, tuple(map(str, terms))))
        if type(raw["texts"]) is not int or any(type(count) is not int for count in raw["usual"].values()):
            raise ValueError("words are counted by whole numbers")
        self._texts, self._usual, self._newest = raw["texts"], Counter(raw["usual"]), newest
