"""Mastra: the OpenTelemetry conventions for results and usage, `mastra.<kind of span>.*` for inputs and outputs.

Read from @mastra/otel-exporter 1.4 (and its earlier names of the kinds). One call of a model is told twice: what went
in and came out by a step, its usage by the inference within it; around all steps stands their sum.
"""

from dataclasses import replace

from collector.dialects.conversations import Messages, ToolCalls
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.otel import KNOWN, LLM, OTEL
from collector.dialects.sources import Instant, Json, within
from collector.dialects.turns import Turn
from collector.dialects.values import finish_reason
from collector.dialects.view import View


def failed(view: View) -> bool:
    return finish_reason(view.json("gen_ai.response.finish_reasons")) == "error"


def answer(view: View) -> list[Turn]:
    """`mastra.model_step.output` or `mastra.model_generation.output`: `{text, toolCalls}`"""
    for key in ("mastra.model_step.output", "mastra.model_generation.output"):
        told = view.json(key)
        if isinstance(told, dict):
            return ToolCalls(("text",), ("toolCalls",))(View(replace(view.span, attributes=told)))
    return []


MASTRA: Dialect = replace(
    OTEL,
    name="mastra",
    scopes=("@mastra/",),
    markers=("mastra.span.type",),
    kinds=(
        KindBy(
            "mastra.span.type",
            {
                "model_inference": "llm",
                "model_step": "llm",
                "model_generation": "llm",
                "llm_generation": "llm",
                "llm_step": "step",
                "model_chunk": "step",
                "tool_call": "tool",
                "mcp_tool_call": "tool",
                "agent_run": "agent",
            },
        ),
        *OTEL.kinds,
    ),
    llm={
        **LLM,
        "response_id": (*LLM["response_id"], *within("mastra.metadata.body", "id")),
        "response_model": (*LLM["response_model"], *within("mastra.metadata.body", "model")),
        "first_token_seconds": (*LLM["first_token_seconds"], Instant("mastra.completion_start_time")),
    },
    input=(*OTEL.input, Messages("mastra.model_step.input"), Messages("mastra.model_generation.input")),
    output=(answer, *OTEL.output),
    step_input=("gen_ai.input.messages", Json("mastra.agent_run.input"), Json("mastra.workflow_run.input")),
    step_output=(
        "gen_ai.output.messages",
        *within("mastra.agent_run.output", "text"),
        Json("mastra.workflow_run.output"),
    ),
    failed=failed,
    known=(
        *KNOWN,
        *("mastra.metadata.runId", "mastra.metadata.headers", "mastra.metadata.modelMetadata"),
        *("mastra.model_chunk.*", "mastra.model_step.is_continued", "mastra.model_step.step_index"),
    ),
    certain=False,
)
