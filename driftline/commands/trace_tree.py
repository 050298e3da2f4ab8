"""A normalised trace as a tree for people."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from collector.core.model import (
    JSON,
    AgentStep,
    Embedding,
    Failure,
    LLMCall,
    Media,
    Message,
    Operation,
    RequestedCall,
    Retrieval,
    ToolCall,
    Trace,
)
from collector.dialects.values import as_text
from collector.links import linked_traces
from driftline.commands.unmapped_table import printable

_LINES = 2  # of the terminal that a text may take
_INDENT_CHARS = 24  # what stands before and after it, about
_FEWEST_CHARS = 40
_SHORT_LIST = 10  # linked traces, without `--full`


def print_trace(traces: Sequence[Trace], full: bool, console: Console | None = None) -> None:
    """Print a tree for each trace; `full` shows texts whole, and messages also if an earlier call had them."""
    console = console or Console(highlight=False)
    longest = max(_FEWEST_CHARS, _LINES * (console.width - _INDENT_CHARS))
    continued_by = _continued_by(traces)
    for trace in traces:
        console.print(_Drawing(trace, None if full else longest, continued_by.get(trace.trace_id, ())).tree())
    console.print(Text(f"{len(traces)} trace{'s' if len(traces) != 1 else ''}", "dim"))


def _continued_by(traces: Sequence[Trace]) -> dict[str, list[str]]:
    """Of each trace, those of the others that say they continue it."""
    found: dict[str, list[str]] = {}
    for trace in traces:
        for linked in linked_traces(trace.links):
            found.setdefault(linked, []).append(trace.trace_id)
    return found


class _Drawing:
    """One trace.

    Args:
        longest: characters of a text that are shown; None: all.
        continued_by: the traces that say they continue it.
    """

    def __init__(self, trace: Trace, longest: int | None, continued_by: Sequence[str]) -> None:
        self._trace, self._longest, self._continued_by = trace, longest, continued_by
        self._shown: list[Message] = []  # by the call before

    def tree(self) -> Tree:
        trace = self._trace
        head = Text.assemble((printable(trace.name or "trace"), "bold"), ("  " + printable(trace.trace_id), "dim"))
        if trace.error:
            head.append("  failed", "bold red")
        if trace.truncated:
            head.append("  truncated", "yellow")
        tree = Tree(head)
        for line in _headlines(trace):
            tree.add(Text(printable(line)))
        self._related(tree, "continues", linked_traces(trace.links))
        self._related(tree, "continued by", self._continued_by)
        for title, said in (("question", trace.question), ("answer", trace.answer)):
            if said:
                tree.add(self._said(title, said, "bold"))
        if not any(found.documents for found in trace.retrievals):  # else they are shown below
            for passage in trace.contexts:
                tree.add(self._said("context, from the prompt", passage, "cyan"))
        for repeat in trace.repeats:
            tree.add(Text(f"a model call is left out: trace {printable(repeat.trace_id)} tells it", "yellow"))
        for step in trace.operations():
            branch = self._operation(tree, step)
            if step.error is not None:
                branch.add(self._error(step.error))
        return tree

    def _related(self, tree: Tree, title: str, trace_ids: Sequence[str]) -> None:
        shown = trace_ids if self._longest is None else trace_ids[:_SHORT_LIST]
        for trace_id in shown:
            tree.add(Text.assemble((title, "bold"), f" {printable(trace_id)}"))
        if len(trace_ids) > len(shown):
            tree.add(Text(f"{title} {len(trace_ids) - len(shown)} more", "dim"))

    def _operation(self, tree: Tree, step: Operation) -> Tree:
        if isinstance(step, LLMCall):
            return self._llm_call(tree, step)
        if isinstance(step, ToolCall):
            return self._tool(tree, step)
        if isinstance(step, Retrieval):
            return self._retrieval(tree, step)
        if isinstance(step, Embedding):
            tokens = [f"{step.input_tokens:,} tokens"] if step.input_tokens is not None else []
            return self._step(tree, step, "embedding", step.model, [*tokens, *_cost(step)])
        return self._step(tree, step, "agent", step.name if isinstance(step, AgentStep) else None, [])

    def _step(self, tree: Tree, step: Operation, kind: str, name: str | None, told: Iterable[str]) -> Tree:
        failed = step.error is not None
        title = Text(kind, "bold red" if failed else "bold")
        if name:
            title.append(" " + printable(name))
        title.append("  " + printable(" · ".join([*self._times(step), *told])), "dim")
        return tree.add(title)

    def _times(self, step: Operation) -> list[str]:
        if step.span_id is None:
            return ["no span: known from the next prompt"]
        return [f"at {max(0, step.start_ns - self._trace.start_ns) / 1e9:.3f} s", f"{step.seconds:.3f} s"]

    def _llm_call(self, tree: Tree, call: LLMCall) -> Tree:
        first = [f"first token after {call.first_token_seconds:.3f} s"] if call.first_token_seconds is not None else []
        names = [part for part in (call.finish_reason, call.provider, call.response_id) if part]
        branch = self._step(tree, call, "llm", call.model, [*first, *_tokens(call), *_cost(call), *names])
        if call.tool_definitions:
            names = [str(tool.get("name")) for tool in call.tool_definitions]
            branch.add(self._said("may call", ", ".join(names), "dim"))
        if call.output_schema is not None:
            branch.add(self._said("must answer", "JSON" if call.output_schema is True else "by a JSON Schema", "dim"))
        self._messages(branch, call.input_messages)
        if call.reasoning:
            branch.add(self._said("reasoning", call.reasoning, "dim"))
        if call.output_text:
            branch.add(self._said("→ assistant", call.output_text, "green"))
        if call.refusal:
            branch.add(self._said("→ refusal", call.refusal, "yellow"))
        for asked in call.tool_calls:
            branch.add(self._said("→ calls", _asked(asked), "magenta"))
        return branch

    def _messages(self, branch: Tree, messages: Sequence[Message]) -> None:
        """An agent's calls repeat all that was said before; what the call before had is only counted."""
        same = 0
        for one, other in zip(messages, self._shown, strict=False):
            if one != other:
                break
            same += 1
        if same and same < len(messages) and self._longest is not None:
            branch.add(Text(f"… {same} message{'s' if same > 1 else ''} as in the call before", "dim"))
            messages, self._shown = messages[same:], list(messages)
        else:
            self._shown = list(messages)
        for message in messages:
            self._message(branch, message)

    def _message(self, branch: Tree, message: Message) -> None:
        if message.text or not (message.tool_calls or message.media or message.has_image):
            branch.add(self._said(message.role, message.text or "", "blue"))
        for item in message.media or ([Media("image")] if message.has_image else []):
            branch.add(self._said(f"{message.role} {item.kind}", _media(item), "blue"))
        for asked in message.tool_calls:
            branch.add(self._said(message.role + " calls", _asked(asked), "blue"))

    def _tool(self, tree: Tree, run: ToolCall) -> Tree:
        branch = self._step(tree, run, "tool", run.name, [])
        branch.add(self._said("arguments", _compact(run.arguments), "blue"))
        if run.result is not None:
            branch.add(self._said("result", _compact(run.result), "green"))
        return branch

    def _retrieval(self, tree: Tree, found: Retrieval) -> Tree:
        number = len(found.documents)
        branch = self._step(tree, found, "retrieval", None, [f"{number} document{'s' if number != 1 else ''}"])
        if found.query:
            branch.add(self._said("query", found.query, "blue"))
        for document in found.documents:
            score = f"{document.score:.4g}" if document.score is not None else "no score"
            branch.add(self._said(f"{document.id or 'document'} · {score}", document.text or "(no text)", "cyan"))
        return branch

    def _error(self, error: Failure) -> Text:
        return self._said("error " + (error.type or ""), error.message or "", "bold red")

    def _said(self, who: str, said: str, style: str) -> Text:
        said = printable(" ".join(said.split()) if self._longest else said)
        if self._longest and len(said) > self._longest:
            said = said[: self._longest].rstrip() + f"… ({len(said):,} characters)"
        return Text.assemble((printable(who.strip()), style), (": " if said else ""), said)


def _headlines(trace: Trace) -> list[str]:
    tokens = [call.input_tokens or 0 for call in trace.llm_calls], [call.output_tokens or 0 for call in trace.llm_calls]
    known = any(call.input_tokens is not None for call in trace.llm_calls)
    facts = [
        f"{trace.seconds:.3f} s",
        f"{trace.span_count} span{'s' if trace.span_count != 1 else ''}",
        *([f"{sum(tokens[0]):,} tokens in, {sum(tokens[1]):,} out"] if known else []),
        *([f"${trace.cost_usd:.6g}"] if trace.cost_usd is not None else []),
        *(["incomplete"] if trace.incomplete else []),
    ]
    named = (
        *(("service", trace.service), ("dialects", ", ".join(trace.dialects) or "none"), ("session", trace.session_id)),
        *(("user", trace.user_id), ("prompt", trace.prompt_name), ("prompt version", trace.prompt_version)),
    )
    return [" · ".join(facts), " · ".join(f"{name} {value}" for name, value in named if value)]


def _tokens(call: LLMCall) -> list[str]:
    told = []
    if call.input_tokens is not None:
        parts = ((call.cached_input_tokens, "cached"), (call.cache_write_input_tokens, "written to the cache"))
        inside = ", ".join(f"{number:,} {what}" for number, what in parts if number)
        told.append(f"{call.input_tokens:,} in" + (f" ({inside})" if inside else ""))
    if call.output_tokens is not None:
        reasoned = f" ({call.reasoning_tokens:,} reasoning)" if call.reasoning_tokens else ""
        told.append(f"{call.output_tokens:,} out{reasoned}")
    return told


def _cost(step: LLMCall | Embedding) -> list[str]:
    if step.cost_usd is None:
        return []
    return [f"${step.cost_usd:.6g} {'list price' if step.cost_source == 'computed' else 'exported'}"]


def _media(item: Media) -> str:
    size = f"{item.size_bytes:,} bytes" if item.size_bytes is not None else None
    return " · ".join(part for part in (item.mime_type, size, item.reference) if part) or "(not told)"


def _asked(asked: RequestedCall) -> str:
    return f"{asked.name}({_compact(asked.arguments)})"


def _compact(value: JSON) -> str:
    return "" if value is None else as_text(value) or ""
