"""What a session keeps of a trace: a turn, short enough that thousands of them can wait for their session's end."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b

import orjson

from collector.core.model import JSON, ToolCall, ToolUse, Trace, Turn

_TEXT_CHARS = 2_000  # kept of a question and of an answer
_ARGUMENTS_CHARS = 120
_NAME_CHARS = 60
_MOST_TOOLS = 16
_KEY_BYTES = 16


@dataclass(slots=True)
class Told:
    """A turn as it travels to its session, with what is needed to find that and to weigh it."""

    service: str
    session_id: str
    revision: int  # of the trace
    root_span_id: str | None
    upstream: float  # probability that the sampler of the application kept the trace
    slices: Mapping[str, str]
    turn: Turn
    tenant: str = ""

    @property
    def key(self) -> bytes:
        return session_key(self.service, self.session_id, self.tenant)


def session_key(service: str, session_id: str, tenant: str = "") -> bytes:
    """Which session it is: that of a service (and of a tenant), since short ids (`1`, `anna`) are unique there at best.

    The one place that says so: it names the session's partition, and its place in sampling.
    """
    name = f"{service}\0{session_id}" + (f"\0{tenant}" if tenant else "")
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


def told_by(trace: Trace, revision: int, upstream: float, slices: Mapping[str, str]) -> Told | None:
    """The turn that a trace is; None if it belongs to no session."""
    if not trace.session_id:
        return None
    turn = Turn(
        trace.trace_id,
        trace.start_ns,
        trace.end_ns,
        _cut(trace.question, _TEXT_CHARS),
        _cut(trace.answer, _TEXT_CHARS),
        [_tool_use(run) for run in trace.tool_executions[:_MOST_TOOLS]],
        trace.error,
        trace.incomplete,
    )
    session_id = _cut(trace.session_id, _TEXT_CHARS) or ""
    return Told(trace.service, session_id, revision, trace.root_span_id, upstream, slices, turn, trace.tenant)


def encode_turn(told: Told) -> bytes:
    return orjson.dumps(asdict(told), option=orjson.OPT_NON_STR_KEYS)


def decode_turn(value: bytes) -> Told:
    """Raises ValueError: it is none; the message has no content."""
    try:
        record = orjson.loads(value)
        turn = record.pop("turn")
        tools = [ToolUse(**tool) for tool in turn.pop("tools")]
        return Told(**record, turn=Turn(**turn, tools=tools))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a turn of a session: {type(error).__name__}") from None


def _tool_use(run: ToolCall) -> ToolUse:
    return ToolUse(_cut(run.name, _NAME_CHARS) or "", _arguments(run.arguments), run.error is not None)


def _arguments(arguments: JSON) -> str | None:
    if arguments is None:
        return None
    if isinstance(arguments, str):
        return _cut(arguments, _ARGUMENTS_CHARS)
    try:
        return _cut(orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode(), _ARGUMENTS_CHARS)
    except (TypeError, ValueError, RecursionError):
        return None


def _cut(text: str | None, most: int) -> str | None:
    """The beginning, as it can be stored: without lone surrogates."""
    return None if text is None else text[:most].encode("utf-8", "replace").decode()
