"""Gemini as OpenLLMetry's instrumentation of google-genai tells it.

Read from opentelemetry-instrumentation-google-generativeai 0.62. Where the application gave the parts of one message
as objects, each is written as a message of its own, and one of text as its `repr`.
"""

from dataclasses import replace

from collector.dialects.conversations import Messages
from collector.dialects.mapping import Dialect
from collector.dialects.openllmetry import OPENLLMETRY
from collector.dialects.reprs import is_part, spelled_out
from collector.dialects.turns import Turn
from collector.dialects.view import View


def messages(view: View) -> list[Turn]:
    """`gen_ai.input.messages`, where the parts of one message may stand as messages of their own"""
    turns: list[Turn] = []
    in_parts = False
    for turn in Messages("gen_ai.input.messages")(view):
        written_out = any(map(is_part, turn.texts))
        turn = spelled_out(turn)
        if in_parts and turn.role == "user" and (written_out or not turn.texts):
            turns[-1].texts += turn.texts
            turns[-1].media += turn.media
            continue
        in_parts = written_out and turn.role == "user"
        turns.append(turn)
    return turns


OPENLLMETRY_GOOGLE: Dialect = replace(
    OPENLLMETRY,
    name="openllmetry-google",
    scopes=("opentelemetry.instrumentation.google_generativeai",),
    markers=(),
    input=(messages, *OPENLLMETRY.input[1:]),
)
