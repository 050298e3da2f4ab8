"""What the demo says: live progress on a terminal, plain lines elsewhere."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from drift.base import RATES, Carrier, Change, Estimate
from driftline.demo.traffic import Truth

_PLAIN_STEPS = 5  # lines of progress where there is no terminal
_MOST_CARRIERS = 3


class Screen:
    """Tells the story of a demo on a console. Use as a context, so that the terminal is left as it was."""

    def __init__(self, console: Console, traces: int, truth: Truth) -> None:
        self._console = console
        self._traces = traces
        self._truth = truth
        self._page = ""
        self._said_steps = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end_bar()

    def started(self, addresses: Mapping[str, str], moved: Mapping[str, str], alerts_url: str, folder: str) -> None:
        """The service listens; `moved` says in words which addresses are not the usual ones."""
        self._page = f"http://{addresses['web']}"
        self._heading("Driftline is running")
        self._fact("traces in", f"http://{addresses['otlp_http']} (OTLP/HTTP), {addresses['otlp_grpc']} (OTLP/gRPC)")
        self._fact("page", f"http://{addresses['web']}/")
        self._fact("metrics", f"http://{addresses['web']}/metrics")
        self._fact("alerts go to", alerts_url)
        self._fact("data", folder)
        for words in moved.values():
            self._fact("note", words)

    def playing(self, hours: float) -> None:
        truth = self._truth
        self._heading(f"Playing {self._traces:,} recorded traces over {hours:g} simulated hours")
        self._fact(
            "what is done",
            f"at {clock(truth.onset_ns)} {truth.service} goes from version {truth.version_before} to"
            f" {truth.version_after} and from prompt {truth.prompt_before} to {truth.prompt_after}:"
            " its answers lose their grounds, and it refuses more",
        )
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(30),
                TextColumn("{task.completed:,} of {task.total:,} traces sent, {task.fields[scored]:,} evaluated"),
                TextColumn("({task.fields[scores]:,} scores)"),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=self._traces, scored=0, scores=0)
            self._bar.start()

    def progress(self, sent: int, counts: Mapping[str, int]) -> None:
        """So many traces were sent; `counts` are the service's."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=sent, scored=counts["traces_scored"], scores=counts["scores"])
            return
        step = min(sent * _PLAIN_STEPS // self._traces, _PLAIN_STEPS)
        if step > self._said_steps:
            self._said_steps = step
            self._fact("sent", f"{sent:,} of {self._traces:,} traces, {counts['traces_scored']:,} evaluated")

    def played(self, sent: int, counts: Mapping[str, int], seconds: float) -> None:
        """All was sent and evaluated."""
        self._end_bar()
        self._heading(f"Evaluated {counts['traces_scored']:,} traces of {sent:,} sent, {counts['scores']:,} scores")
        self._fact("in", f"{seconds:.0f} s")

    def changed(self, change: Change) -> None:
        """A change was found: held against what was done."""
        self._heading(f"Change found: the {statistic_words(change)} went {change.direction}", "bold red")
        self._estimates(change)
        self._fact("noticed", f"{clock(change.detected_ns)}, {span_words(change.detected_ns - self._truth.onset_ns)}")
        for trace_id in change.traces[:1]:
            self._fact("look at", f"{self._page}/traces/{trace_id}")
        if not change.paged:
            self._fact("page", f"none: told with {change.related}" if change.related else "none")

    def known(self, change: Change) -> None:
        """What more traffic has taught about a change that was told before."""
        self._heading(f"Now known of the {statistic_words(change)}")
        self._estimates(change)

    def _estimates(self, change: Change) -> None:
        self._fact("where", slice_words(change.slice))
        self._fact("size", size_words(change))
        self._fact(
            "since",
            f"{clock(change.onset_ns)}, between {clock(change.onset_low_ns)} and {clock(change.onset_high_ns)};"
            f" in truth {clock(self._truth.onset_ns)}",
        )
        for carrier in change.carriers[:_MOST_CARRIERS]:
            self._fact("carried by", carrier_words(carrier))

    def alerted(self, body: Mapping[str, Any]) -> None:
        """An alert arrived at the demo's receiver."""
        for notification in body.get("notifications", ()):
            annotations = notification.get("annotations", {})
            self._heading(f"Alert received ({notification.get('status')})", "bold red")
            self._fact("summary", str(annotations.get("summary", "")))
            for line in str(annotations.get("description", "")).splitlines():
                if line.strip():
                    self._fact("", line.strip())

    def missed(self, seconds: float) -> None:
        self._heading(f"No alert came within {seconds:.0f} s", "bold yellow")

    def serving(self, addresses: Mapping[str, str]) -> None:
        self._end_bar()
        self._heading("Serving on; stop with Ctrl-C")
        self._fact("page", f"http://{addresses['web']}/")
        self._fact("metrics", f"http://{addresses['web']}/metrics")
        self._fact("traces in", f"http://{addresses['otlp_http']}/v1/traces")

    def stopped(self) -> None:
        self._end_bar()
        self._heading("Stopped")

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _heading(self, text: str, style: str = "bold") -> None:
        self._console.print(f"[{style}]{escape(text)}[/]", highlight=False, soft_wrap=True)

    def _fact(self, name: str, text: str) -> None:
        self._console.print(f"  [dim]{escape(name):12}[/] {escape(text)}", highlight=False, soft_wrap=True)


def clock(at_ns: int) -> str:
    """A moment of today's traffic.

    >>> clock(1_700_000_000_000_000_000)
    '22:13:20 UTC'
    """
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%H:%M:%S} UTC"


def span_words(span_ns: int) -> str:
    """How long after the deployment.

    >>> span_words(754_000_000_000), span_words(-5_000_000_000)
    ('12 min 34 s after it', '5 s before it')
    """
    minutes, seconds = divmod(abs(round(span_ns / 1e9)), 60)
    text = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{text} {'before' if span_ns < 0 else 'after'} it"


def slice_words(slices: Mapping[str, str]) -> str:
    """
    >>> slice_words({"service": "shop", "version": "2"}), slice_words({})
    ('service shop, version 2', 'everywhere')
    """
    return ", ".join(f"{name} {value}" for name, value in slices.items()) or "everywhere"


def statistic_words(change: Change) -> str:
    names = {"pass_rate": "rate of passing of", "mean": "mean of", "typical": "typical", "share": "share of"}
    return f"{names[change.statistic]} {change.metric}"


def size_words(change: Change) -> str:
    """How much it moved, with its interval."""
    rate = change.statistic in RATES
    return (
        f"{number(change.before.value, rate)} before, {number(change.after.value, rate)} after:"
        f" {interval(change.size, rate)}"
    )


def interval(estimate: Estimate, rate: bool) -> str:
    """
    >>> interval(Estimate(-0.31, -0.36, -0.25, 400), rate=True)
    '-31.0 points (95%: -36.0 to -25.0)'
    """
    if rate:
        low, high = 100 * estimate.lower, 100 * estimate.upper
        return f"{100 * estimate.value:+.1f} points (95%: {low:+.1f} to {high:+.1f})"
    return f"{estimate.value:+.3g} (95%: {estimate.lower:+.3g} to {estimate.upper:+.3g})"


def number(value: float, rate: bool) -> str:
    return f"{value:.1%}" if rate else f"{value:.3g}"


def carrier_words(carrier: Carrier) -> str:
    """
    >>> carrier_words(Carrier("version", "2.4.0", 0.97, None, 0.6, True))
    'version 2.4.0 (new): 97% of it'
    """
    new = " (new)" if carrier.is_new else ""
    return f"{carrier.attribute} {carrier.value}{new}: {carrier.share:.0%} of it"
