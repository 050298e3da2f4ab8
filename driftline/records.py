"""What goes into the `decisions` log: one sheet for each revision of a trace, with the decision on every scorer.

A sheet is written for every trace and read by few, so its decisions are rows without field names, and say of
probability and rule only what the trace's own do not. `read_sheet` gives it back in full.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from collector.core.model import Slices, Trace
from collector.links import linked_traces
from collector.sample import Admission
from collector.sessions import ReadySession
from scorers.ledger import Decision, decision_to_row, row_to_json

Sheet = dict[str, Any]
_MOST_LINKED = 50  # traces that a sheet names as continued; a batch may have thousands


def sheet(
    trace: Trace, revision: int, event_ns: int, slices: Slices, admission: Admission, decisions: Sequence[Decision]
) -> bytes:
    """The record of one evaluation. Holds no prompts, contexts or answers."""
    probability, rule = admission.probability(), admission.rule
    linked = {"links": linked_traces(trace.links)[:_MOST_LINKED]} if trace.links else {}
    return orjson.dumps(
        {
            "trace_id": trace.trace_id,
            "tenant": trace.tenant,
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
            "rate_rule": rule,
            "upstream": admission.upstream,
            "probability": probability,
            **linked,
            **({"repeats": [(one.span_id, one.trace_id) for one in trace.repeats]} if trace.repeats else {}),
            "rows": [decision_to_row(decision, probability, rule) for decision in decisions],
        }
    )


def session_sheet(ready: ReadySession, slices: Slices, admission: Admission, decisions: Sequence[Decision]) -> bytes:
    """The record of one evaluation of a session, of the same form. Its `trace_id` is an id of its own: a session has
    none, and may be recorded several times."""
    session, probability, rule = ready.session, admission.probability(), admission.rule
    return orjson.dumps(
        {
            "trace_id": ready.id,
            "target": "session",
            "revision": ready.revision,
            "event_ns": session.end_ns,
            "start_ns": session.start_ns,
            "end_ns": session.end_ns,
            "name": None,
            "session_id": session.session_id,
            "slices": dict(slices),
            "error": session.error,
            "incomplete": session.incomplete,
            "dialects": [],
            "counts": {"turns": len(session.turns), "tool_runs": sum(len(turn.tools) for turn in session.turns)},
            "turns": [turn.trace_id for turn in session.turns],
            "unit": admission.unit,
            "rate": admission.rate,
            "rate_rule": rule,
            "upstream": admission.upstream,
            "probability": probability,
            "rows": [decision_to_row(decision, probability, rule) for decision in decisions],
        }
    )


def read_sheet(value: bytes) -> Sheet:
    """A sheet with its `decisions` as `scorers.ledger.decision_to_json` gives them."""
    loaded: Sheet = orjson.loads(value)
    rule = loaded["rate_rule"]
    probability = loaded.get("probability", loaded["rate"] * loaded["upstream"])  # older sheets: of separate samplers
    loaded["decisions"] = [row_to_json(row, probability, rule) for row in loaded.pop("rows")]
    return loaded
