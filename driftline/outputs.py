"""What leaves an evaluation, redacted: names and slices of the trace, and all that scorers wrote freely.

Scorers see the trace as it came (one that looks for leaks must); nothing that they give out, and nothing of the trace
itself, goes on to the ledger, the scores, the metrics or the events before it went through here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from collector.core.model import Slices, Trace, Turn
from collector.provenance import KINDS, Provenance
from collector.redaction.attributes import AttributeLists
from collector.redaction.redactor import Redactor
from collector.slices import UNKNOWN
from drift.provenance import as_text
from scorers.base import Score
from scorers.ledger import Decision

_SPAN_ID = re.compile(r"(?:[0-9a-f]{16})?(?:#\d{1,4})?")
_SERVICE = "service.name"
_MOST_REMEMBERED = 2048


class Outputs:
    """Redacts in place.

    Args:
        redactor: finds and replaces.
        lists: attributes that are left alone or never told; a slice is known as `slices.NAME` and by its path.
        slices: the path of each slice.
    """

    def __init__(self, redactor: Redactor, lists: AttributeLists, slices: Mapping[str, str]) -> None:
        self._redactor, self._lists = redactor, lists
        self._made_by: dict[Provenance, str] = {}  # most traces are made by the same
        self._clean_pair = lru_cache(maxsize=_MOST_REMEMBERED)(self._cleaned)
        self._slice_verdicts = {name: lists.of_any((f"slices.{name}", path)) for name, path in slices.items()}

    def clean(self, trace: Trace, slices: Slices, decisions: Sequence[Decision]) -> Slices:
        """The slices, redacted; so are, from now on, the trace's names and ids, and the decisions."""
        trace.name = self._named("name", trace.name)
        trace.session_id = self._named("session_id", trace.session_id)
        service = trace.resource.get(_SERVICE)
        if isinstance(service, str) and (clean := self._named(f"resource.{_SERVICE}", service)) != service:
            trace.resource = {**trace.resource, _SERVICE: clean}  # a new one: the old is shared by many traces
        self.clean_decisions(decisions)
        return {name: self._slice(name, value) for name, value in slices.items()}

    def provenance(self, made_by: Provenance) -> str:
        """What made the trace as watchers are told of it: redacted, without what is denied."""
        told = self._made_by.get(made_by)
        if told is None:
            if len(self._made_by) >= _MOST_REMEMBERED:
                self._made_by.clear()
            clean = ((kind, self._clean_pair(kind, value)) for kind, value in made_by)
            told = self._made_by[made_by] = as_text(tuple(pair for pair in clean if pair[1]))
        return told

    def _cleaned(self, kind: str, value: str) -> str:
        verdict = self._lists.of_any((f"provenance.{kind}", KINDS[kind][1]))
        return "" if verdict == "deny" else self._told(verdict, value)

    def clean_decisions(self, decisions: Sequence[Decision]) -> None:
        """What scorers wrote freely."""
        for decision in decisions:
            if decision.score is not None:
                self._clean_score(decision.score)
                decision.span_id = decision.score.span_id
            elif decision.detail:
                decision.detail = self._redactor.text(decision.detail)

    def clean_turn(self, turn: Turn) -> None:
        """The content that waits for the end of its session."""
        turn.question, turn.answer = self._content(turn.question), self._content(turn.answer)
        for tool in turn.tools:
            tool.name = self._redactor.text(tool.name)
            tool.arguments = self._content(tool.arguments)

    def clean_ids(self, trace: Trace) -> None:
        """The ids that the provider gave, for those who tell them: each is another, and so costs more than a name."""
        for call in trace.llm_calls:
            call.response_id = self._named("llm.response_id", call.response_id)

    def _clean_score(self, score: Score) -> None:
        if score.label:
            score.label = self._redactor.text(score.label)
        if score.explanation:
            score.explanation = self._redactor.text(score.explanation)
        if score.span_id and not _SPAN_ID.fullmatch(score.span_id):
            score.span_id = self._redactor.text(score.span_id)
        if score.terms:
            score.terms = tuple(self._redactor.text(term) for term in score.terms)
        if score.evidence:
            score.evidence = tuple(
                replace(item, text=self._redactor.text(item.text), type=self._redactor.text(item.type))
                if item.text or not item.type.isidentifier()
                else item
                for item in score.evidence
            )

    def _content(self, text: str | None) -> str | None:
        return None if text is None else self._redactor.text(text)

    def _named(self, name: str, value: str | None) -> str | None:
        return None if value is None else self._told(self._lists.verdict(name), value)

    def _slice(self, name: str, value: str) -> str:
        return UNKNOWN if value == UNKNOWN else self._told(self._slice_verdicts.get(name), value) or UNKNOWN

    def _told(self, verdict: str | None, value: str) -> str:
        if verdict == "allow":
            return value
        return self._redactor.whole(value) if verdict == "deny" else self._redactor.text(value)
