"""Model Context Protocol as OpenLLMetry's instrumentation tells it: a tool's run, and the protocol's other requests.

Read from opentelemetry-instrumentation-mcp 0.62. OpenInference's instrumentation only carries the trace's context over.
"""

from dataclasses import replace

from collector.core.model import JSON
from collector.dialects.mapping import Dialect
from collector.dialects.openllmetry import OPENLLMETRY
from collector.dialects.sources import within
from collector.dialects.view import View


def result(view: View) -> JSON:
    """`traceloop.entity.output` without its wrapper"""
    told = view.json("traceloop.entity.output")
    if isinstance(told, dict) and "result" in told and told.keys() <= {"result", "is_error"}:
        return told["result"]
    return told


OPENLLMETRY_MCP: Dialect = replace(
    OPENLLMETRY,
    name="openllmetry-mcp",
    scopes=("opentelemetry.instrumentation.mcp",),
    markers=(),
    tool={
        **OPENLLMETRY.tool,
        "arguments": (*within("traceloop.entity.input", "arguments"), *OPENLLMETRY.tool["arguments"]),
        "result": (result,),
    },
)
