"""AWS Bedrock as three instrumentations tell it: OpenTelemetry's for botocore, OpenLLMetry's, OpenInference's.

Read from opentelemetry-instrumentation-botocore 0.66b2, opentelemetry-instrumentation-bedrock 0.62 and
openinference-instrumentation-bedrock 0.1.61. What they share is Bedrock's own: it counts cached tokens beside the
input's, models that embed are invoked like any other, and the body of a request has the form of the model's maker.
"""

from dataclasses import replace

from collector.core.model import JSON
from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect, Kind, Sources
from collector.dialects.openinference import OPENINFERENCE
from collector.dialects.openllmetry import OPENLLMETRY
from collector.dialects.otel import KNOWN, LLM, OTEL
from collector.dialects.parts import read_part
from collector.dialects.sources import Sum
from collector.dialects.turns import Turn
from collector.dialects.values import as_text, mapping, parsed
from collector.dialects.view import View

_INPUT_TOKENS: Sources = (
    Sum(
        "gen_ai.usage.input_tokens",
        (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
        ),
    ),
)


def embedding_model(view: View) -> Kind | None:
    """A model for embeddings, which Bedrock invokes like one that completes a text"""
    attributes = view.attributes
    model = attributes.get("gen_ai.request.model", attributes.get("llm.model_name"))
    operation = attributes.get("gen_ai.operation.name", attributes.get("openinference.span.kind"))
    return "embedding" if isinstance(model, str) and "embed" in model and operation in _INVOKED else None


_INVOKED = ("text_completion", "LLM")


def answer_with_reasoning(view: View) -> list[Turn]:
    """OpenLLMetry writes a block of reasoning as a text that is the block's JSON."""
    turns = Messages("gen_ai.output.messages", role="assistant")(view)
    for turn in turns:
        if any(said.startswith('{"reasoningContent"') for said in turn.texts):
            said, turn.texts = turn.texts, []
            for one in said:
                read_part(turn, [], parsed(one) if one.startswith('{"reasoningContent"') else one)
    return turns


def results_as_text(view: View) -> list[Turn]:
    """OpenLLMetry writes a tool's result as JSON of the list of its parts."""
    turns = Messages("gen_ai.input.messages")(view)
    for turn in turns:
        if turn.role == "tool" and len(turn.texts) == 1 and turn.texts[0].startswith('[{"json"'):
            found = parsed(turn.texts[0])
            if isinstance(found, list):
                turn.texts = [as_text(mapping(part).get("json")) or "" for part in found]
    return turns


def named_parameters(view: View) -> JSON:
    """An agent's action group is called with a list of `{name, type, value}`."""
    given = view.json("tool.parameters")
    if not isinstance(given, list) or not all(isinstance(one, dict) and "name" in one for one in given):
        return None
    return {str(one["name"]): one.get("value") for one in given}


OTEL_BOTOCORE: Dialect = replace(
    OTEL,
    name="otel-botocore",
    scopes=("opentelemetry.instrumentation.botocore",),
    markers=(),
    kinds=(embedding_model, *OTEL.kinds),
    llm={**LLM, "input_tokens": _INPUT_TOKENS},
    known=(*KNOWN, "retry_attempts"),
)

OPENLLMETRY_BEDROCK: Dialect = replace(
    OPENLLMETRY,
    name="openllmetry-bedrock",
    scopes=("opentelemetry.instrumentation.bedrock",),
    markers=(),
    kinds=(embedding_model, *OPENLLMETRY.kinds),
    llm={**OPENLLMETRY.llm, "input_tokens": _INPUT_TOKENS},
    input=(results_as_text, *OPENLLMETRY.input[1:]),
    output=(answer_with_reasoning, *OPENLLMETRY.output[1:]),
)

OPENINFERENCE_BEDROCK: Dialect = replace(
    OPENINFERENCE,
    name="openinference-bedrock",
    scopes=("openinference.instrumentation.bedrock",),
    markers=(),
    kinds=(embedding_model, *OPENINFERENCE.kinds),
    tool={**OPENINFERENCE.tool, "arguments": (*OPENINFERENCE.tool["arguments"], named_parameters)},
)
