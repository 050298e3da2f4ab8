"""What a person asked, what the application said in the end, and the passages it had to go on."""

from collections.abc import Sequence

from collector.contexts import asked_below, pasted
from collector.core.model import JSON, LLMCall, Message, Retrieval, Trace
from collector.dialects.mapping import first
from collector.dialects.messages import read_turns
from collector.dialects.values import parsed, text
from collector.seen import Seen, enclosed

_ASKED = ("question", "query", "input", "prompt", "user_input", "message", "text", "task", "user_message", "user_query")
_ANSWERED = ("answer", "output", "response", "result", "text", "content", "final_output", "completion", "outputs")


def summarise(trace: Trace, seen: Sequence[Seen]) -> None:
    """Fill in question, answer and contexts. `seen` is in order of start; the trace has its operations."""
    main = _main(seen)
    outermost = next((one for one in seen if one.above is None and one.kind in ("step", "agent")), None)
    answering = _answering(main, outermost)
    trace.contexts = _retrieved(trace.retrievals)
    if answering is not None and not trace.contexts:
        trace.contexts = list(_shown(seen, answering))
    trace.answer = _answer(answering, outermost)
    trace.question = _question(main, outermost, answering)


def _main(seen: Sequence[Seen]) -> list[LLMCall]:
    """The model calls of the application's own line, not those that a tool makes for itself."""
    calls = [one for one in seen if isinstance(one.operation, LLMCall) and not one.dropped]
    of_tools = enclosed(calls, "tool")
    return [call for one in calls if isinstance(call := one.operation, LLMCall) and one not in of_tools]


def _answering(calls: Sequence[LLMCall], outermost: Seen | None) -> LLMCall | None:
    """The call whose text is the application's answer.

    The one that the outermost step returns, if it tells; else the last with text that does not ask for tools.
    """
    speaking = [call for call in calls if call.output_text or call.refusal]
    if len(speaking) < 2:
        return speaking[0] if speaking else None
    speaking.sort(key=lambda call: call.end_ns)
    returned = _returned(outermost)
    if returned is not None:
        for call in reversed(speaking):
            if (call.output_text or "").strip() == returned.strip():
                return call
    final = [call for call in speaking if not call.tool_calls]
    return (final or speaking)[-1]


def _returned(outermost: Seen | None) -> str | None:
    if outermost is None:
        return None
    value = first(outermost.view, outermost.dialect.step_output, parsed)
    return None if value is None else said_in(value, _ANSWERED, "assistant")


def _answer(answering: LLMCall | None, outermost: Seen | None) -> str | None:
    if answering is not None:
        return answering.output_text or answering.refusal
    return None if outermost is None or outermost.span.failed else _returned(outermost)


def _question(calls: Sequence[LLMCall], outermost: Seen | None, answering: LLMCall | None) -> str | None:
    if outermost is not None:
        value = first(outermost.view, outermost.dialect.step_input, parsed)
        asked = None if value is None else said_in(value, _ASKED, "user")
        if asked:
            return asked
    for call in (calls[0] if calls else None, answering):
        if call is not None:
            said = last_said(call.input_messages)
            if said:
                return asked_below(said) or said
    return None


def last_said(messages: Sequence[Message]) -> str | None:
    for message in reversed(messages):
        if message.role == "user" and message.text:
            return message.text
    return None


def said_in(value: JSON, keys: tuple[str, ...], role: str) -> str | None:
    """The text that a step was given or returned: plain, under one of these keys, or the last message of a role.

    >>> said_in({"args": ["How old is it?"], "kwargs": {}}, ("question",), "user")
    'How old is it?'
    """
    value = parsed(value)
    if isinstance(value, str):
        return value if value and not _is_repr(value) else None
    if isinstance(value, list):
        return _last_text(value, role)
    if not isinstance(value, dict):
        return None
    if "messages" in value or "role" in value:
        return _last_text(value.get("messages", value), role)
    for key in keys:
        inner = value.get(key)
        if isinstance(inner, (str, dict, list)) and inner:
            return said_in(inner, keys, role) if not isinstance(inner, str) else said_in_text(inner)
    positional = value.get("args")
    if isinstance(positional, list) and positional:
        return said_in(positional[0], keys, role) if isinstance(positional[0], (str, dict)) else None
    if isinstance(value.get("kwargs"), dict):
        return said_in(value["kwargs"], keys, role)
    return text(value.get("content"))


def said_in_text(value: str) -> str | None:
    return value if not _is_repr(value) else None


def _is_repr(value: str) -> bool:
    """Python's `repr` of an object: `AgentOutput(response=...`. Nobody says that."""
    head, bracket, _ = value[:80].partition("(")
    return bool(bracket) and head.isidentifier() and head[:1].isupper()


def _last_text(value: JSON, role: str) -> str | None:
    turns = read_turns(value, "assistant" if role == "assistant" else "user")
    return next((turn.text for turn in reversed(turns) if turn.role == role and turn.text), None)


def _retrieved(retrievals: Sequence[Retrieval]) -> list[str]:
    texts = [doc.text for found in retrievals for doc in found.documents if doc.text]
    return list(dict.fromkeys(texts))


def _shown(seen: Sequence[Seen], answering: LLMCall) -> Sequence[str]:
    """What the prompt shows. A prompt variable called context is told apart by the library itself."""
    shown = pasted(answering.input_messages).passages
    if shown:
        return shown
    for one in seen:
        if one.operation is answering:
            variable = text(one.view.attributes.get("gen_ai.prompt.variable.context"))
            if variable:
                return pasted([Message("user", "Context:\n" + variable)]).passages
    return shown
