"""Logfire's instrumentations: the OpenTelemetry conventions, with lists as JSON text and templates as span names.

A streamed call is told twice: by its span, without an answer, and by a log of no duration that has the answer.
"""

from dataclasses import replace

from collector.dialects.mapping import Kind
from collector.dialects.otel import KNOWN, LLM, OTEL
from collector.dialects.sources import within
from collector.dialects.view import View


def pending(view: View) -> Kind | None:
    """A span sent ahead when another began; that one says everything again."""
    return "step" if view.attributes.get("logfire.span_type") == "pending_span" else None


LOGFIRE = replace(
    OTEL,
    name="logfire",
    scopes=("logfire",),
    markers=("logfire.msg_template",),
    kinds=(pending, *OTEL.kinds),
    llm={
        **LLM,
        "cached_input_tokens": (
            *LLM["cached_input_tokens"],
            *within("gen_ai.usage.raw", "prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens"),
        ),
        "reasoning_tokens": (
            *LLM["reasoning_tokens"],
            *within(
                "gen_ai.usage.raw",
                "completion_tokens_details.reasoning_tokens",
                "output_tokens_details.reasoning_tokens",
            ),
        ),
    },
    tool_definitions=(*OTEL.tool_definitions, *within("request_data", "tools")),
    output_schema=(*within("request_data", "response_format", "text.format"), *OTEL.output_schema),
    known=(*KNOWN, "logfire.tags", "logfire.scrubbed", "async", "duration"),
)
