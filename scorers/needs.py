"""What a scorer may ask of a trace before it runs. A trace without it is filtered, with the missing need named."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from collector.core.model import LLMCall, Operation, Retrieval, Session, ToolCall, Trace

Need = Callable[[Trace], bool]

NEEDS: dict[str, Need] = {
    "question": lambda trace: bool(trace.question),
    "answer": lambda trace: bool(trace.answer),
    "contexts": lambda trace: any(trace.contexts),
    "reference": lambda trace: bool(trace.reference),
    "llm_calls": lambda trace: bool(trace.llm_calls),
    "tool_executions": lambda trace: bool(trace.tool_executions),
    "retrievals": lambda trace: bool(trace.retrievals),
    "embeddings": lambda trace: bool(trace.embeddings),
    "agent_steps": lambda trace: bool(trace.agent_steps),
    "tool_calls": lambda trace: any(call.tool_calls for call in trace.llm_calls),
    "tool_definitions": lambda trace: any(call.tool_definitions for call in trace.llm_calls),
    "output_schema": lambda trace: any(call.output_schema is not None for call in trace.llm_calls),
    "tokens": lambda trace: any(
        call.input_tokens is not None or call.output_tokens is not None for call in trace.llm_calls
    ),
    "messages": lambda trace: any(call.input_messages for call in trace.llm_calls),
    "response": lambda trace: bool(trace.answer) or any(call.refusal for call in trace.llm_calls),
    "tools_used": lambda trace: bool(trace.tool_executions) or any(call.tool_calls for call in trace.llm_calls),
    "foreign_text": lambda trace: any(trace.contexts) or any(run.result is not None for run in trace.tool_executions),
    "session": lambda trace: bool(trace.session_id),
}
"""Name of a need -> whether a trace has it. Plug-ins may add their own. `response` is an answer or a refusal field,
`foreign_text` whatever the model read that neither the user nor the developer wrote: contexts and tool results."""

SESSION_NEEDS: dict[str, Callable[[Session], bool]] = {
    "question": lambda session: any(turn.question for turn in session.turns),
    "answer": lambda session: any(turn.answer for turn in session.turns),
    "tools_used": lambda session: any(turn.tools for turn in session.turns),
    "several_turns": lambda session: len(session.turns) > 1,
}
"""The same for scorers whose target is the session: `question` in any of its turns, and so on."""

CALL_NEEDS: dict[str, Callable[[LLMCall], bool]] = {
    "question": lambda call: any(message.role == "user" and message.text for message in call.input_messages),
    "answer": lambda call: bool(call.output_text),
    "response": lambda call: bool(call.output_text or call.refusal),
    "messages": lambda call: bool(call.input_messages),
    "tool_calls": lambda call: bool(call.tool_calls),
    "tool_definitions": lambda call: bool(call.tool_definitions),
    "output_schema": lambda call: call.output_schema is not None,
    "reasoning": lambda call: bool(call.reasoning),
    "tokens": lambda call: call.input_tokens is not None or call.output_tokens is not None,
}
TOOL_NEEDS: dict[str, Callable[[ToolCall], bool]] = {
    "arguments": lambda run: run.arguments is not None,
    "result": lambda run: run.result is not None,
}
RETRIEVAL_NEEDS: dict[str, Callable[[Retrieval], bool]] = {
    "query": lambda retrieval: bool(retrieval.query),
    "documents": lambda retrieval: any(document.text for document in retrieval.documents),
    "document_scores": lambda retrieval: any(document.score is not None for document in retrieval.documents),
}
OPERATION_NEEDS: dict[str, Mapping[str, Callable[[Any], bool]]] = {
    "llm_call": CALL_NEEDS,
    "tool_call": TOOL_NEEDS,
    "retrieval": RETRIEVAL_NEEDS,
}
"""The same for scorers of operations, by target. What is not here is asked of the trace."""

ALIASES = {"output": "answer"}


def known_need(name: str, target: str = "trace") -> str:
    """The name by which needs of scorers of this target go, for a name in a declaration.

    Raises:
        ValueError: there is none.
    """
    plain = ALIASES.get(name, name)
    known = {*SESSION_NEEDS} if target == "session" else {*NEEDS, *OPERATION_NEEDS.get(target, ())}
    if plain not in known:
        raise ValueError(f"needs: {name!r} is not one of {', '.join(sorted([*known, *ALIASES]))}")
    return plain


def missing_need(needs: Iterable[str], trace: Trace) -> str | None:
    """The first need that `trace` does not fill."""
    for need in needs:
        if not NEEDS[need](trace):
            return need
    return None


def missing_session_need(needs: Iterable[str], session: Session) -> str | None:
    """The first need that `session` does not fill."""
    return next((need for need in needs if not SESSION_NEEDS[need](session)), None)


def missing_operation_need(needs: Iterable[str], target: str, operation: Operation, trace: Trace) -> str | None:
    """The first need that neither the operation nor, where it is none of an operation, its trace fills."""
    own = OPERATION_NEEDS[target]
    for need in needs:
        if not (own[need](operation) if need in own else NEEDS[need](trace)):
            return need
    return None
