"""What a call's own span leaves out and the span around it tells."""

from collections.abc import Sequence

from collector.core.model import LLMCall
from collector.dialects.mapping import first, first_turns
from collector.dialects.tools import output_schema, tool_definitions
from collector.seen import Seen


def inherit(seen: Sequence[Seen]) -> None:
    """Complete calls from what encloses them: schema, instructions, tools, and the input of a call that failed."""
    around = {one.span.span_id: one for one in seen if one.kind == "step"}
    for one in seen:
        call = one.operation
        if isinstance(call, LLMCall) and not one.dropped:
            if call.output_schema in (None, True) and one.span.parent_id in around:
                _inherit_schema(call, one, around[one.span.parent_id])
            if call.error is not None and not call.input_messages:
                _inherit_input(call, one.above)
            agent = one.above
            if agent is not None and agent.kind == "agent" and agent.dialect is one.dialect:
                _inherit_from_agent(call, agent)


def _inherit_schema(call: LLMCall, one: Seen, wrapper: Seen) -> None:
    """The application's call of the library, whose only purpose is this model call, may hold the schema."""
    if wrapper.dialect is one.dialect:
        found = first(wrapper.view, wrapper.dialect.output_schema, output_schema)
        call.output_schema = call.output_schema if found is None else found


def _inherit_input(call: LLMCall, agent: Seen | None) -> None:
    """A failed call may tell no input, while the agent around it tells the whole conversation that led to it."""
    if agent is not None and agent.dialect.history:
        call.input_messages = [turn.message() for turn in first_turns(agent.view, agent.dialect.history)]


def _inherit_from_agent(call: LLMCall, agent: Seen) -> None:
    """An agent's span alone may tell the tools and the instructions that every call within it was given."""
    dialect = agent.dialect
    if not call.tool_definitions and dialect.tool_definitions:
        call.tool_definitions = first(agent.view, dialect.tool_definitions, tool_definitions) or []
    if dialect.agent_system and "system" not in [message.role for message in call.input_messages]:
        told = first_turns(agent.view, dialect.agent_system)
        call.input_messages = [*(turn.message() for turn in told), *call.input_messages]
