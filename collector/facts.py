"""What any span of a trace may say about the whole: session, user, prompt."""

from collections.abc import Iterable

from collector.core.model import LogEvent, Span, Trace
from collector.dialects.values import word

_SESSION = (
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.session.id",
    "langfuse.trace.session_id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.chat_id",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.session_id",
    "ai.telemetry.metadata.session.id",
    "mlflow.trace.session",
    "langsmith.metadata.session_id",
    "langsmith.metadata.thread_id",
    "langsmith.metadata.conversation_id",
    "genkit:sessionId",
    "mastra.metadata.threadId",
    "session_id",
)
_USER = (
    "user.id",
    "enduser.id",
    "langfuse.user.id",
    "langfuse.trace.user_id",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
    "ai.telemetry.metadata.user_id",
    "ai.telemetry.metadata.user.id",
    "mlflow.trace.user",
    "langsmith.metadata.user_id",
    "gen_ai.request.user",
    "metadata.user_api_key_end_user_id",
    "mastra.metadata.resourceId",
    "llm.user",
    "user_id",
    "user",  # MLflow exports the parameters of a call, this one as it is sent to OpenAI
)
_PROMPT_NAME = (
    "gen_ai.prompt.name",
    "langfuse.observation.prompt.name",
    "traceloop.prompt.key",
    "llm.prompt_template.name",
    "ai.telemetry.metadata.promptName",
)
_PROMPT_VERSION = (
    "gen_ai.prompt.version",
    "llm.prompt_template.version",
    "langfuse.observation.prompt.version",
    "traceloop.prompt.version",
    "traceloop.prompt.version_name",
    "ai.telemetry.metadata.promptVersion",
    "ai.telemetry.metadata.prompt_version",
)
FACTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("session_id", _SESSION),
    ("user_id", _USER),
    ("prompt_name", _PROMPT_NAME),
    ("prompt_version", _PROMPT_VERSION),
)
"""Each fact with the attributes that may tell it, the most telling first."""
_REDACTED = "[Scrubbed due to"
_RANKS = {key: (name, rank) for name, keys in FACTS for rank, key in enumerate(keys)}
FACT_KEYS = frozenset(_RANKS)
"""All attributes that are read of any span."""
_SESSION_KEYS = frozenset(_SESSION)


def read_facts(trace: Trace, told: Iterable[Span | LogEvent]) -> None:
    """Fill in the trace's facts: the most telling attribute wins, then the earliest span."""
    best: dict[str, tuple[int, str]] = {}
    for one in told:
        attributes = one.attributes
        if FACT_KEYS.isdisjoint(attributes):
            continue  # most spans
        for key in FACT_KEYS & attributes.keys():
            name, rank = _RANKS[key]
            if name not in best or rank < best[name][0]:
                value = word(attributes[key])
                if value is not None and not value.startswith(_REDACTED):
                    best[name] = rank, value
    for name, (_, value) in best.items():
        setattr(trace, name, value)


def has_session(told: Iterable[Span | LogEvent]) -> bool:
    """Whether any of them names a session."""
    return any(not _SESSION_KEYS.isdisjoint(one.attributes) for one in told)
