"""Which model asked for which tool run, and the runs that only the next prompt shows.

Many applications run tools without a span. Then the model's answer asks for a call, and the input of a later answer
holds the result: that is a run, without a span of its own. Where there is a span, the request adds what it leaves out.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from collector.core.model import JSON, LLMCall, Message, RequestedCall, ToolCall
from collector.dialects.tools import tool_result

_NEXT = 200  # how far to look for the other half of a pair: traces of thousands of runs stay linear


@dataclass(slots=True, eq=False)
class _Request:
    """A call that a model asked for, or that a prompt says it had asked for."""

    call: RequestedCall
    asked_ns: int
    result: str | None = None
    answered_ns: int | None = None
    told: bool = False  # a result for it stands in a prompt
    run: ToolCall | None = None


class _Asked:
    """What the message before asked for, by id, and in order for results that do not say whose they are."""

    def __init__(self) -> None:
        self._by_id: dict[str, RequestedCall] = {}
        self._in_order: deque[RequestedCall] = deque()

    def add(self, calls: Sequence[RequestedCall]) -> None:
        self._in_order.extend(calls)
        for call in calls:
            if call.id is not None:
                self._by_id.setdefault(call.id, call)

    def answered_by(self, message: Message) -> RequestedCall | None:
        if message.tool_call_id is not None:
            return self._by_id.get(message.tool_call_id)
        return self._in_order.popleft() if self._in_order else None


def complete_runs(calls: Sequence[LLMCall], runs: list[ToolCall]) -> list[ToolCall]:
    """All tool runs in order of start: those with spans, completed, and those known from messages only.

    `calls` and `runs` are in order of start.
    """
    requests = _requests(calls)
    if not requests:
        return runs
    _pair(requests, runs)
    for request in requests:
        if request.run is not None:
            _complete(request.run, request)
    inferred = [_inferred(request) for request in requests if request.run is None and request.told]
    return sorted([*runs, *inferred], key=lambda run: run.start_ns) if inferred else runs


def complete_history(calls: Sequence[LLMCall]) -> None:
    """Give back to a model's earlier messages the text that was said with a tool call, or the calls of that text.

    Several libraries leave out either when the message is sent again; the call that made it still knows.
    `calls` is in order of start.
    """
    said: dict[str, str] = {}
    asked: dict[str, list[RequestedCall]] = {}
    for call in calls:
        if said or asked:
            for message, after in zip_longest(call.input_messages, call.input_messages[1:]):
                if message.role != "assistant":
                    continue
                if message.text is None and message.tool_calls:
                    message.text = said.get(message.tool_calls[0].id or "")
                elif message.text and not message.tool_calls and after is not None and after.role == "tool":
                    message.tool_calls = list(asked.get(message.text, ()))
        if call.output_text and call.tool_calls:
            asked[call.output_text] = call.tool_calls
            if call.tool_calls[0].id:
                said[call.tool_calls[0].id] = call.output_text


def complete_answers(calls: Sequence[LLMCall]) -> None:
    """Give a call the answer that its own span leaves out and a later prompt repeats.

    Several libraries tell nothing of a streamed answer, or of its text where it asks for tools. A later prompt that
    begins with the whole input of a call goes on with what that call answered. `calls` is in order of start.
    """
    for at, call in enumerate(calls):
        if call.output_text or call.refusal or call.error is not None or not call.input_messages:
            continue
        for later in calls[at + 1 : at + 1 + _NEXT_PROMPTS]:
            answer = _answer_in(later, call)
            if answer is not None:
                call.output_text = answer.text
                call.tool_calls = call.tool_calls or list(answer.tool_calls)
                break


_NEXT_PROMPTS = 4  # how far to look: agents tell the whole conversation in the very next prompt


def _answer_in(later: LLMCall, call: LLMCall) -> Message | None:
    """What the model said to this call's input, in the prompt of a later one."""
    length = len(call.input_messages)
    if len(later.input_messages) <= length:
        return None
    answer = later.input_messages[length]
    if answer.role != "assistant" or (call.tool_calls and answer.text is None):
        return None  # or nothing that is not known
    if later.input_messages[length - 1] != call.input_messages[-1]:
        return None
    asked = [(one.name, one.arguments) for one in call.tool_calls]
    if asked and asked != [(one.name, one.arguments) for one in answer.tool_calls]:
        return None
    return answer if later.input_messages[:length] == call.input_messages else None


def _requests(calls: Sequence[LLMCall]) -> list[_Request]:
    """Requests in the order in which they were made; a result counts where it is new to this trace."""
    requests: list[_Request] = []
    by_id: dict[str, _Request] = {}
    for call in calls:
        _read_prompt(call, requests, by_id)
        for asked in call.tool_calls:
            _note(_Request(asked, call.end_ns), requests, by_id)
    return requests


def _note(request: _Request, requests: list[_Request], by_id: dict[str, _Request]) -> _Request:
    known = by_id.get(request.call.id) if request.call.id else None
    if known is not None:
        return known
    requests.append(request)
    if request.call.id:
        by_id[request.call.id] = request
    return request


def _read_prompt(call: LLMCall, requests: list[_Request], by_id: dict[str, _Request]) -> None:
    """Results in a prompt. Those before the last thing the model said are history, unless this trace asked for them."""
    messages = call.input_messages
    if "tool" not in [message.role for message in messages]:
        return
    last_said = _end_of_last_answer(messages)
    asked = _Asked()
    for position, message in enumerate(messages):
        if message.role == "assistant" and message.tool_calls:
            if messages[position - 1].role != "assistant":
                asked = _Asked()
            asked.add(message.tool_calls)
        elif message.role == "tool":
            wanted = asked.answered_by(message)
            request = _find(wanted, message, requests, by_id)
            if wanted is None and message.tool_call_id is None:  # the message that asked was left out
                request = next((one for one in requests if not one.told and one.run is None), None)
            if request is None and position >= last_said and wanted is not None:
                request = _note(_Request(wanted, call.start_ns), requests, by_id)
            if request is not None and not request.told:
                request.told, request.result, request.answered_ns = True, message.text, call.start_ns


def _end_of_last_answer(messages: Sequence[Message]) -> int:
    return max((at for at, message in enumerate(messages) if message.role == "assistant"), default=-1) + 1


def _find(
    wanted: RequestedCall | None, message: Message, requests: list[_Request], by_id: dict[str, _Request]
) -> _Request | None:
    """The request that this trace already knows, by id, or by what was asked (some libraries write two ids)."""
    if message.tool_call_id is not None and message.tool_call_id in by_id:
        return by_id[message.tool_call_id]
    if wanted is None:
        return None
    for request in requests[-_NEXT:]:
        if request.call.name == wanted.name and request.call.arguments == wanted.arguments and not request.told:
            return request
    return None


def _pair(requests: Sequence[_Request], runs: Sequence[ToolCall]) -> None:
    """Give each request its span: by id, else by name and arguments, else by name and order."""
    by_id = {run.id: run for run in reversed(runs) if run.id is not None}
    for request in requests:
        request.run = by_id.pop(request.call.id, None) if request.call.id is not None else None
    taken = {id(request.run) for request in requests if request.run is not None}
    free: dict[str, list[ToolCall]] = {}
    for run in runs:
        if id(run) not in taken:
            free.setdefault(run.name, []).append(run)
    for fits in (_same_arguments, _next_of_name):
        for request in requests:
            if request.run is None and request.call.name in free:
                request.run = _take(free[request.call.name], request, fits)


def _take(runs: list[ToolCall], request: _Request, fits: Callable[[_Request, ToolCall], bool]) -> ToolCall | None:
    for position, run in enumerate(runs[:_NEXT]):
        if run.end_ns >= request.asked_ns and fits(request, run):  # not if it ended before it was asked for
            return runs.pop(position)
    return None


def _same_arguments(request: _Request, run: ToolCall) -> bool:
    return _equal(request.call.arguments, run.arguments)


def _next_of_name(request: _Request, run: ToolCall) -> bool:
    return run.id is None or request.call.id is None


def _equal(asked: JSON, told: JSON) -> bool:
    """A tool with one argument may be told with the bare value."""
    if asked == told:
        return True
    return isinstance(asked, dict) and len(asked) == 1 and str(next(iter(asked.values()))) == str(told)


def _complete(run: ToolCall, request: _Request) -> None:
    run.id = run.id or request.call.id
    named = isinstance(request.call.arguments, dict) and not isinstance(run.arguments, dict)
    if named or run.arguments is None:
        run.arguments = request.call.arguments
    if run.result is None and run.error is None and request.result is not None:
        run.result = tool_result(request.result)


def _inferred(request: _Request) -> ToolCall:
    return ToolCall(
        span_id=None,
        start_ns=request.asked_ns,
        end_ns=max(request.asked_ns, request.answered_ns or 0),
        name=request.call.name,
        arguments=request.call.arguments,
        result=tool_result(request.result),
        id=request.call.id,
    )
