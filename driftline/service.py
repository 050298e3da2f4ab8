"""A service that runs: its parts in the order in which they start and stop, and what it says of itself."""

from collections.abc import Sequence

from alerts.history import Delivery
from collector.core.telemetry import Histogram
from drift.base import Change, decode_change
from drift.series import SeriesStatus
from driftline.flow import Flow, Ground
from driftline.network import Network
from driftline.pipeline import Stage
from driftline.rollouts import Rollout
from driftline.stages.notify import NotifyStage
from driftline.stages.watch import WatchStage
from driftline.web.source import ScorerFacts

_MOST_CHANGES = 1_000_000


class Service:
    """Started from the sinks back to the sources, stopped the other way round; `stop` is safe twice."""

    def __init__(self, ground: Ground, flow: Flow, network: Network) -> None:
        self.engine, self.view, self.telemetry = ground.engine, ground.view, ground.telemetry
        self.redactor = ground.redactor
        self.ground, self.flow, self.network = ground, flow, network
        self._started = False

    @property
    def stages(self) -> Sequence[Stage]:
        """In the order of the flow."""
        return self.flow.stages

    @property
    def scorers(self) -> Sequence[ScorerFacts]:
        return self.flow.scorers

    @property
    def monitors(self) -> Sequence[str]:
        return self.flow.monitors

    def start(self) -> None:
        """Begin to receive, once everything behind the receivers works.

        Raises:
            UserError: an address cannot be listened on.
        """
        self.network.bind()
        self._start_stages()
        self.network.start(self)
        self._started = True

    def replace(self, flow: Flow) -> None:
        """Go on with another flow. What is received meanwhile waits in the log.

        The stages stop between two of their commits, and the new ones begin where these left off, as after a restart.
        """
        self._stop_stages()
        flow.writer.follow(self.flow.writer)
        self.flow = flow
        self._start_stages()

    def stop(self) -> None:
        self.network.stop()
        self._stop_stages(for_good=True)
        self.engine.close()
        self.view.close()
        self._started = False

    def _start_stages(self) -> None:
        for stage in reversed(self.stages):
            stage.start()
        self.flow.rollouts.start()
        self.flow.pusher.start()
        self.flow.writer.start()

    def _stop_stages(self, for_good: bool = False) -> None:
        self.flow.rollouts.stop()
        for stage in self.stages:
            stage.stop()
        for close in self.flow.closing:
            close()
        self.flow.pusher.stop()
        self.flow.writer.stop(for_good)

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

    def scorer_seconds(self) -> dict[str, float]:
        """How long the runs of each scorer took by now."""
        return {scorer: runs.sum for one in self._scorer_runs() for (scorer,), runs in one.values().items()}

    def scorer_runs(self) -> dict[str, int]:
        """How often each scorer has run by now."""
        told = (item for one in self._scorer_runs() for item in one.values().items())
        return {scorer: int(sum(runs.counts)) for (scorer,), runs in told}

    def _scorer_runs(self) -> list[Histogram]:
        told = [one for one in self.telemetry.instruments() if one.name == "driftline_scorer_seconds"]
        return [one for one in told if isinstance(one, Histogram)]

    def rollouts(self) -> Sequence[Rollout]:
        """New versions, as they were compared last."""
        return self.flow.rollouts.found

    def changes(self) -> list[Change]:
        """All that are kept, newest first, each as it is known now."""
        return [decode_change(encoded) for encoded in self.view.changes(_MOST_CHANGES)]

    def deliveries(self, change_id: str) -> Sequence[Delivery]:
        """What this process did to tell of a change, oldest first."""
        return [one for stage in self.stages if isinstance(stage, NotifyStage) for one in stage.deliveries(change_id)]

    def series(self) -> Sequence[SeriesStatus]:
        """Those that this process watches."""
        return [status for stage in self.stages if isinstance(stage, WatchStage) for status in stage.series]
