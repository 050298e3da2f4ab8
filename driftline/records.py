"""What goes into the `decisions` log: one sheet for each revision of a trace, with the decision on every scorer."""

from collections.abc import Sequence
from typing import Any

import orjson

from collector.core.model import Slices, Trace
from collector.sample import Admission
from scorers.ledger import Decision, decision_to_json

Sheet = dict[str, Any]


def sheet(
    trace: Trace, revision: int, event_ns: int, slices: Slices, admission: Admission, decisions: Sequence[Decision]
) -> bytes:
    """The record of one evaluation. Holds no prompts, contexts or answers."""
    return orjson.dumps(
        {
            "trace_id": trace.trace_id,
            "revision": revision,
            "event_ns": event_ns,
            "start_ns": trace.start_ns,
            "end_ns": trace.end_ns,
            "name": trace.name,
            "session_id": trace.session_id,
            "slices": dict(slices),
            "error": trace.error,
            "incomplete": trace.incomplete,
            "dialects": trace.dialects,
            "counts": {
                "spans": trace.span_count,
                "llm_calls": len(trace.llm_calls),
                "tool_executions": len(trace.tool_executions),
                "retrievals": len(trace.retrievals),
                "agent_steps": len(trace.agent_steps),
            },
            "unit": admission.unit,
            "rate": admission.rate,
            "rate_rule": admission.rule,
            "upstream": admission.upstream,
            "decisions": [decision_to_json(decision) for decision in decisions],
        }
    )


def read_sheet(value: bytes) -> Sheet:
    loaded: Sheet = orjson.loads(value)
    return loaded
