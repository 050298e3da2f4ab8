"""What a revision adds to a trace: operations that no earlier evaluation can have told to anybody.

Who was told of an operation is not told of it again: the trace is understood once more without the spans that came
since, and what is there then was told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from collector.core.model import Embedding, LLMCall, LogEvent, Span, Trace
from collector.normalise import normalise
from scorers.ledger import Decision
from scorers.targets import OPERATIONS, added_parts


@dataclass(slots=True)
class Added:
    """The operations: the identities of those that scorers are about by target; calls and embeddings as they are."""

    identities: dict[str, set[str]] = field(default_factory=dict)
    calls: list[LLMCall] = field(default_factory=list)
    embeddings: list[Embedding] = field(default_factory=list)

    def holds(self, decision: Decision, targets: Mapping[str, str]) -> bool:
        """Whether a decision is on one of them; `targets` says what its scorer is about, if it is an operation."""
        return decision.span_id in self.identities.get(targets.get(decision.scorer, ""), ())


NOTHING = Added()


def added(trace: Trace, late: frozenset[bytes], spans: Sequence[Span], events: Sequence[LogEvent]) -> Added:
    """What `trace`, made of `spans` and `events`, has by the spans with these ids."""
    ids = {one.hex() for one in late}
    before = normalise(trace.trace_id, [span for span in spans if span.span_id not in ids], events)
    new = {
        target: added_parts(getattr(before, name), getattr(trace, name))
        for target, name in {**OPERATIONS, "embedding": "embeddings"}.items()
    }
    return Added(
        {target: {part.span_id for part in new[target]} for target in OPERATIONS},
        [part.operation for part in new["llm_call"] if isinstance(part.operation, LLMCall)],
        [part.operation for part in new["embedding"] if isinstance(part.operation, Embedding)],
    )
