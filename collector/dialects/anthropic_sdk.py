"""The Anthropic Python SDK's own spans: no content, but the provider's exact usage.

They come beside those of any instrumentation, as a child or as a trace of their own, with the same
`gen_ai.response.id`.
"""

from dataclasses import replace

from collector.dialects.otel import KNOWN, LLM, OTEL

ANTHROPIC_SDK = replace(
    OTEL,
    name="anthropic-sdk",
    scopes=("com.anthropic.sdk",),
    markers=(),
    llm={**LLM, "finish_reason": ("anthropic.message.stop_reason", *LLM["finish_reason"])},
    known=(*KNOWN, "anthropic.response.service_tier"),
    usage_rank=1,
)
