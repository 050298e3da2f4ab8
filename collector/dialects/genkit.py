"""Genkit (Google): `genkit:*`, with the input and output of each action as JSON.

Read from genkit 1.42 for JavaScript. A model's name has its plugin before it (`openai/gpt-4o`); `generate` is the
step around the calls of a model and of tools.
"""

from collector.core.model import JSON
from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect, KindBy
from collector.dialects.sources import Documents, Json, within
from collector.dialects.view import View

_INPUT, _OUTPUT = "genkit:input", "genkit:output"


def plugin(view: View) -> JSON:
    """`genkit:name` before its first slash"""
    named = view.attributes.get("genkit:name")
    return named.partition("/")[0] if isinstance(named, str) and "/" in named else None


def model(view: View) -> JSON:
    """`genkit:name` after its first slash"""
    named = view.attributes.get("genkit:name")
    return (named.partition("/")[2] or named) if isinstance(named, str) else None


def failed(view: View) -> bool:
    return view.attributes.get("genkit:state") == "error"


GENKIT = Dialect(
    name="genkit",
    scopes=("genkit-tracer",),
    markers=("genkit:metadata:subtype", "genkit:type"),
    kinds=(
        KindBy(
            "genkit:metadata:subtype",
            {"model": "llm", "tool": "tool", "retriever": "retrieval", "embedder": "embedding", "agent": "agent"},
        ),
        KindBy("genkit:type", {"action": "step", "util": "step", "flow": "step", "flowStep": "step"}),
    ),
    llm={
        "provider": (plugin,),
        "request_model": (model,),
        "response_model": within(_OUTPUT, "raw.model", "raw.modelVersion"),
        "response_id": within(_OUTPUT, "raw.id", "raw.responseId"),
        "finish_reason": within(_OUTPUT, "raw.choices.0.finish_reason", "raw.stop_reason", "finishReason"),
        "input_tokens": within(_OUTPUT, "usage.inputTokens"),
        "output_tokens": within(_OUTPUT, "usage.outputTokens"),
        "cached_input_tokens": within(_OUTPUT, "usage.cachedContentTokens"),
        "reasoning_tokens": within(_OUTPUT, "usage.thoughtsTokens"),
    },
    input=(Messages(_INPUT, ("messages",)),),
    output=(
        Messages(_OUTPUT, ("message",), "assistant"),
        Messages(_OUTPUT, ("candidates", 0, "message"), "assistant"),
    ),
    tool_definitions=within(_INPUT, "tools"),
    output_schema=within(_INPUT, "output.schema"),
    tool={"name": ("genkit:name",), "arguments": (_INPUT,), "result": (_OUTPUT,)},
    query=within(_INPUT, "query.content.0.text", "query"),
    documents=(Documents(_OUTPUT),),
    embedding={"model": (model,), "provider": (plugin,)},
    agent_name=("genkit:name",),
    step_input=(Json(_INPUT),),
    step_output=(*within(_OUTPUT, "message"), Json(_OUTPUT)),
    failed=failed,
    known=("genkit:path", "genkit:key", "genkit:isRoot"),
)
