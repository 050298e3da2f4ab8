"""Haystack 2 and 3: the kind is in the component's class name; content needs HAYSTACK_CONTENT_TRACING_ENABLED.

Pipelines run components (`haystack.component.*`), agents have steps of their own (`haystack.agent.step.llm`, `.tool`).
"""

from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect, Kind
from collector.dialects.sources import Documents, Instant, Json, SpanName, within
from collector.dialects.values import mapping
from collector.dialects.view import View

_IN, _OUT = "haystack.component.input", "haystack.component.output"
_AGENT_IN, _AGENT_OUT = "haystack.agent.step.llm.input", "haystack.agent.step.llm.output"
_TOOL_IN, _TOOL_OUT = "haystack.agent.step.tool.input", "haystack.agent.step.tool.output"
_ENDINGS: tuple[tuple[str, Kind], ...] = (
    ("Generator", "llm"),
    ("Retriever", "retrieval"),
    ("TextEmbedder", "embedding"),
    ("DocumentEmbedder", "embedding"),
    ("ToolInvoker", "step"),
    ("Agent", "agent"),
)


def by_component(view: View) -> Kind | None:
    """By the class name's ending, or by the agent's kind of step."""
    component = view.attributes.get("haystack.component.type")
    if isinstance(component, str):
        return next((kind for ending, kind in _ENDINGS if component.endswith(ending)), "step")
    name = view.span.name
    if name == "haystack.agent.step.llm" or _AGENT_IN in view.attributes:
        return "llm"
    if name == "haystack.agent.step.tool" or "haystack.tool.name" in view.attributes:
        return "tool"
    return "agent" if name == "haystack.agent.run" else "step"


def failed(view: View) -> bool:
    return view.attributes.get("haystack.tool.error") is True


def failure_or_result(view: View) -> object:
    """A failing tool returns `{"error": text}`."""
    output = view.json(_TOOL_OUT)
    if failed(view):
        return mapping(output).get("error", output)
    return output


def _meta(path: str) -> tuple[Json, ...]:
    places = (f"replies.0.meta.{path}", f"replies.0._meta.{path}", f"meta.0.{path}")
    return (*within(_OUT, *places), *within(_AGENT_OUT, *places))


HAYSTACK = Dialect(
    name="haystack",
    scopes=("haystack",),
    markers=(
        *("haystack.component.type", "haystack.agent.step", "haystack.agent.input"),
        *("haystack.agent.step.llm.input", "haystack.tool.name", "haystack.pipeline.input_data"),
    ),
    kinds=(by_component,),
    llm={
        "provider": _meta("provider"),
        "request_model": (*within(_IN, "generation_kwargs.model"), *within(_AGENT_IN, "generation_kwargs.model")),
        "response_model": _meta("model"),
        "response_id": _meta("id"),
        "finish_reason": (*_meta("finish_reason"), *_meta("stop_reason")),
        "input_tokens": (*_meta("usage.prompt_tokens"), *_meta("usage.input_tokens")),
        "output_tokens": (*_meta("usage.completion_tokens"), *_meta("usage.output_tokens")),
        "cached_input_tokens": _meta("usage.prompt_tokens_details.cached_tokens"),
        "first_token_seconds": tuple(Instant(source) for source in _meta("completion_start_time")),
        "reasoning_tokens": _meta("usage.completion_tokens_details.reasoning_tokens"),
    },
    input=(Messages(_IN, ("messages",)), Messages(_IN, ("prompt",)), Messages(_AGENT_IN, ("messages",))),
    output=(Messages(_OUT, ("replies",), "assistant"), Messages(_AGENT_OUT, ("replies",), "assistant")),
    tool_definitions=(*within(_IN, "tools"), *within(_AGENT_IN, "tools")),
    output_schema=(
        *within(_IN, "generation_kwargs.response_format"),
        *within(_AGENT_IN, "generation_kwargs.response_format"),
    ),
    tool={"name": ("haystack.tool.name", SpanName()), "arguments": (_TOOL_IN,), "result": (failure_or_result,)},
    query=(Json(_IN),),
    documents=(Documents(_OUT),),
    embedding={"model": within(_OUT, "meta.model"), "input_tokens": within(_OUT, "meta.usage.prompt_tokens")},
    agent_name=("haystack.component.name", SpanName()),
    step_input=("haystack.agent.input", Json("haystack.pipeline.input_data")),
    step_output=("haystack.agent.output", Json("haystack.pipeline.output_data")),
    failed=failed,
    known=(
        *("haystack.component.fully_qualified_type", "haystack.component.input_types", "haystack.component.visits"),
        *("haystack.component.input_spec", "haystack.component.output_spec", "haystack.tool.description"),
        *("haystack.pipeline.execution_mode", "haystack.pipeline.max_runs_per_component", "haystack.pipeline.metadata"),
        *("haystack.agent.exit_conditions", "haystack.agent.max_steps", "haystack.agent.steps_taken"),
        *("haystack.agent.state_schema", "haystack.agent.tools"),
    ),
    certain=True,
)
