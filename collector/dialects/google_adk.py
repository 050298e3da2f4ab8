"""Google Agent Development Kit 2: the OpenTelemetry conventions, with results wrapped and models prefixed.

A tool's result is `{"result": value}` or `{"error": text}`; a model behind LiteLLM is `provider/model`; parallel tool
calls get a span of their own that is no run.
"""

from dataclasses import replace

from collector.core.model import JSON
from collector.dialects.conversations import Messages
from collector.dialects.otel import KNOWN, LLM, OTEL, TOOL
from collector.dialects.turns import Turn
from collector.dialects.values import as_text, parsed
from collector.dialects.view import View


def model_without_provider(view: View) -> JSON:
    """`openai/gpt-4o` is LiteLLM's way to say which provider serves `gpt-4o`."""
    model, provider = view.attributes.get("gen_ai.request.model"), view.attributes.get("gen_ai.provider.name")
    if isinstance(model, str) and isinstance(provider, str):
        return model.removeprefix(provider + "/")
    return model


def unwrapped(value: JSON) -> JSON:
    """
    >>> unwrapped('{"result": [1]}'), unwrapped('{"error": "late"}'), unwrapped('{"result": 1, "unit": "s"}')
    ([1], 'late', {'result': 1, 'unit': 's'})
    """
    value = parsed(value)
    if isinstance(value, dict) and len(value) == 1:
        return value.get("result", value.get("error", value))
    return value


def result(view: View) -> JSON:
    return unwrapped(view.attributes.get("gen_ai.tool.call.result"))


def messages(view: View) -> list[Turn]:
    """Messages; the model is sent a failing tool's bare error, but the wrapper of a result as it is."""
    turns = Messages("gen_ai.input.messages")(view)
    for turn in turns:
        if turn.role == "tool" and len(turn.texts) == 1 and turn.texts[0].startswith('{"error"'):
            turn.texts = [as_text(unwrapped(turn.texts[0])) or ""]
    return turns


GOOGLE_ADK = replace(
    OTEL,
    name="google-adk",
    scopes=("gcp.vertex.agent",),
    markers=("gcp.vertex.agent.event_id",),
    llm={**LLM, "request_model": (model_without_provider,)},
    input=(messages,),
    tool={**TOOL, "result": (result,)},
    known=(*KNOWN, "gcp.vertex.agent.invocation_id"),
)
