"""A service that runs: its parts in the order in which they start and stop, and what it says of itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collector.core.engine import Engine
from collector.core.telemetry import Telemetry
from collector.redaction.redactor import Redactor
from drift.base import Change, decode_change
from drift.series import SeriesStatus
from driftline.network import Network
from driftline.pipeline import Stage
from driftline.stages.watch import WatchStage
from driftline.view import View
from driftline.web.source import ScorerFacts


@dataclass
class Service:
    """Started from the sinks back to the sources, stopped the other way round; `stop` is safe twice.

    Attributes:
        closing: what to call once the stages have stopped.
        stages: in the order of the flow.
        scorers: what is scored, for people.
        monitors: what is watched, a line of words each.
        redactor: what replaces personal data and credentials in all that leaves it.
    """

    engine: Engine
    view: View
    telemetry: Telemetry
    closing: Sequence[Callable[[], None]]
    stages: Sequence[Stage]
    network: Network
    scorers: Sequence[ScorerFacts]
    monitors: Sequence[str]
    redactor: Redactor
    _started: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin to receive, once everything behind the receivers works.

        Raises:
            UserError: an address cannot be listened on.
        """
        self.network.bind()
        for stage in reversed(self.stages):
            stage.start()
        self.network.start(self)
        self._started = True

    def stop(self) -> None:
        self.network.stop()
        for stage in self.stages:
            stage.stop()
        for close in self.closing:
            close()
        self.engine.close()
        self.view.close()
        self._started = False

    def drain(self) -> None:
        """Work through everything that was appended, on the caller's thread; instead of `start`."""
        for stage in self.stages:
            stage.drain()

    @property
    def addresses(self) -> dict[str, str]:
        """Where the listeners are: `otlp_http`, `otlp_grpc`, `web`, each as HOST:PORT."""
        return self.network.addresses

    def failures(self) -> list[str]:
        """Stages that have ended with an error: the service cannot go on."""
        return [f"{stage.name}: {stage.failure}" for stage in self.stages if stage.failure is not None]

    def health(self) -> list[str]:
        return self.failures()

    def readiness(self) -> list[str]:
        """What it still waits for; empty when spans are received and worked on."""
        waiting = [] if self._started else ["starting"]
        store = [problem] if (problem := self.engine.problem) else []
        return waiting + self.failures() + store + self.network.problems()

    def counts(self) -> dict[str, int]:
        evaluated = self.telemetry.counter("driftline_traces", "", ["outcome"]).values()
        traces = sum(count for (outcome,), count in evaluated.items() if outcome != "revised")
        waiting = self.telemetry.gauge("driftline_open_traces", "").values()
        scores = self.telemetry.counter("driftline_decisions", "", ["scorer", "decision", "reason"]).values()
        return {
            "traces_received": int(traces + sum(waiting.values())),
            "traces_scored": int(traces),
            "scores": int(sum(count for (_, decision, _), count in scores.items() if decision == "scored")),
            "changes": self.view.change_count(),
        }

    def changes(self) -> list[Change]:
        """All that are kept, newest first, each as it is known now."""
        return [decode_change(encoded) for encoded in self.view.changes()]

    def series(self) -> Sequence[SeriesStatus]:
        """Those that this process watches."""
        return [status for stage in self.stages if isinstance(stage, WatchStage) for status in stage.series]
