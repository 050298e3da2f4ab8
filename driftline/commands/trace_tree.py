"""A normalised trace as a tree for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from collector.core.model import (
    JSON,
    AgentStep,
    Embedding,
    Failure,
    LLMCall,
    Message,
    Operation,
    RequestedCall,
    Retrieval,
    ToolCall,
    Trace,
)
from collector.dialects.values import as_text

_SHORT_CHARS = 160


def print_trace(traces: Sequence[Trace], full: bool, console: Console | None = None) -> None:
    """Print a tree for each trace; `full` shows texts whole."""
    console = console or Console(highlight=False)
    drawing = _Drawing(None if full else _SHORT_CHARS)
    for trace in traces:
        console.print(drawing.trace(trace))
    console.print(f"[dim]{len(traces)} trace{'s' if len(traces) != 1 else ''}[/dim]")


class _Drawing:
    def __init__(self, longest: int | None) -> None:
        self._longest = longest

    def trace(self, trace: Trace) -> Tree:
        failed = "  [bold red]failed[/bold red]" if trace.error else ""
        failed += "  [yellow]truncated[/yellow]" if trace.truncated else ""
        tree = Tree(f"[bold]{escape(trace.name or 'trace')}[/bold]  [dim]{trace.trace_id}[/dim]{failed}")
        tree.add(escape(self._headline(trace)))
        for title, said in (("question", trace.question), ("answer", trace.answer)):
            if said:
                tree.add(self._said(title, said, "bold"))
        for passage in trace.contexts:
            tree.add(self._said("context", passage, "cyan"))
        for step in trace.operations():
            self._operation(tree, step)
        return tree

    def _headline(self, trace: Trace) -> str:
        facts = [
            f"{trace.seconds:.3f} s",
            f"{trace.span_count} spans",
            f"service {trace.service}",
            f"dialects {', '.join(trace.dialects) or 'none'}",
        ]
        named = (("session", trace.session_id), ("user", trace.user_id), ("prompt", trace.prompt_name))
        facts += [f"{name} {value}" for name, value in (*named, ("prompt version", trace.prompt_version)) if value]
        return " · ".join(facts)

    def _operation(self, tree: Tree, step: Operation) -> None:
        if isinstance(step, LLMCall):
            self._llm_call(tree, step)
        elif isinstance(step, ToolCall):
            self._tool(tree, step)
        elif isinstance(step, Retrieval):
            self._retrieval(tree, step)
        elif isinstance(step, Embedding):
            tokens = f" · {step.input_tokens} tokens" if step.input_tokens is not None else ""
            self._error(tree.add(_title("embedding", step.model, f"{step.seconds:.3f} s{tokens}")), step.error)
        elif isinstance(step, AgentStep):
            self._error(tree.add(_title("agent", step.name, f"{step.seconds:.3f} s")), step.error)

    def _llm_call(self, tree: Tree, call: LLMCall) -> None:
        told = [f"{call.seconds:.3f} s", *_tokens(call)]
        told += [part for part in (call.finish_reason, call.provider, call.response_id) if part]
        branch = tree.add(_title("llm", call.model, " · ".join(told)))
        for message in call.input_messages:
            self._message(branch, message)
        if call.reasoning:
            branch.add(self._said("reasoning", call.reasoning, "dim"))
        if call.output_text:
            branch.add(self._said("→ assistant", call.output_text, "green"))
        if call.refusal:
            branch.add(self._said("→ refusal", call.refusal, "yellow"))
        for asked in call.tool_calls:
            branch.add(self._said("→ calls", self._call(asked), "magenta"))
        self._error(branch, call.error)

    def _message(self, branch: Tree, message: Message) -> None:
        image = " (with an image)" if message.has_image else ""
        if message.text or image or not message.tool_calls:
            branch.add(self._said(message.role + image, message.text or "", "blue"))
        for asked in message.tool_calls:
            branch.add(self._said(message.role + " calls", self._call(asked), "blue"))

    def _call(self, asked: RequestedCall) -> str:
        return f"{asked.name}({_compact(asked.arguments)})"

    def _tool(self, tree: Tree, run: ToolCall) -> None:
        told = f"{run.seconds:.3f} s" if run.span_id else "no span: known from the next prompt"
        branch = tree.add(_title("tool", run.name, told))
        branch.add(self._said("arguments", _compact(run.arguments), "blue"))
        if run.result is not None:
            branch.add(self._said("result", _compact(run.result), "green"))
        self._error(branch, run.error)

    def _retrieval(self, tree: Tree, found: Retrieval) -> None:
        branch = tree.add(_title("retrieval", None, f"{found.seconds:.3f} s · {len(found.documents)} documents"))
        if found.query:
            branch.add(self._said("query", found.query, "blue"))
        for document in found.documents:
            score = f"{document.score:.4g}" if document.score is not None else "no score"
            branch.add(self._said(f"{document.id or 'document'} · {score}", document.text or "(no text)", "cyan"))
        self._error(branch, found.error)

    def _error(self, branch: Tree, error: Failure | None) -> None:
        if error is not None:
            branch.add(self._said("error " + (error.type or ""), error.message or "", "bold red"))

    def _said(self, who: str, said: str, style: str) -> Text:
        said = " ".join(said.split()) if self._longest else said
        if self._longest and len(said) > self._longest:
            said = said[: self._longest] + f"… ({len(said)} characters)"
        return Text.assemble((who.strip(), style), (": " if said else ""), said)


def _title(kind: str, name: str | None, told: str) -> str:
    named = f" {escape(name)}" if name else ""
    return f"[bold]{kind}[/bold]{named}  [dim]{escape(told)}[/dim]"


def _tokens(call: LLMCall) -> list[str]:
    told = []
    if call.input_tokens is not None:
        cached = f" ({call.cached_input_tokens} cached)" if call.cached_input_tokens else ""
        told.append(f"{call.input_tokens} in{cached}")
    if call.output_tokens is not None:
        reasoned = f" ({call.reasoning_tokens} reasoning)" if call.reasoning_tokens else ""
        told.append(f"{call.output_tokens} out{reasoned}")
    return told


def _compact(value: JSON) -> str:
    return "" if value is None else as_text(value) or ""
