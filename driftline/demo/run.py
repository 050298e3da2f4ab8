"""The demo from beginning to end: a service, recorded traffic with a regression, and the alert that arrives."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from rich.console import Console

from collector.core.errors import DriftlineError, UserError
from driftline.build import build
from driftline.config import Config
from driftline.demo.player import Player, Progress
from driftline.demo.receiver import AlertReceiver
from driftline.demo.recordings import shipped_sample
from driftline.demo.show import Screen
from driftline.demo.traffic import Traffic
from driftline.service import Service

USUAL_ADDRESSES = {"otlp_http": ("OTLP/HTTP", 4318), "otlp_grpc": ("OTLP/gRPC", 4317), "web": ("the page", 8321)}
STORE_NAME = "demo.db"
HOURS = 6.0
_LOOK_SECONDS = 0.2  # between two looks at what has happened
_SETTLED_SECONDS = 15.0  # nothing more was evaluated for this long: what is open waits for spans that are not coming
_END_BEFORE_NOW_NS = 5 * 10**9


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    traces: int
    seed: int
    folder: Path
    leave: bool  # stop once the alert has arrived
    deadline_seconds: float  # for the alert, from the beginning of the traffic
    alertmanager: str | None = None


def run(options: Options, console: Console, ended: Event) -> int:
    """Run the demo until `ended` is set (or, if it shall leave, the alert has arrived); the exit code.

    Raises:
        UserError: the folder cannot be used, or an address cannot be listened on.
        DriftlineError: the service or the player failed.
    """
    listen, moved = free_addresses()
    store = fresh_store(options.folder)
    receiver = AlertReceiver()
    service = build(Config.model_validate(configuration(listen, store, receiver.url, options.alertmanager)))
    try:
        service.start()
        traffic = Traffic(
            shipped_sample(),
            end_ns=time.time_ns() - _END_BEFORE_NOW_NS,
            traces=options.traces,
            seed=options.seed,
            hours=HOURS,
        )
        with Screen(console, traffic.traces, traffic.truth) as screen:
            screen.started(service.addresses, moved, receiver.url, str(store.parent))
            return Demo(service, traffic, receiver, screen, options, ended).run()
    finally:
        service.stop()
        receiver.close()


class Demo:
    """A demo whose service has started."""

    def __init__(
        self,
        service: Service,
        traffic: Traffic,
        receiver: AlertReceiver,
        screen: Screen,
        options: Options,
        ended: Event,
    ) -> None:
        self._service = service
        self._traffic = traffic
        self._receiver = receiver
        self._screen = screen
        self._options = options
        self._ended = ended
        self._progress = Progress()
        self._failure: Exception | None = None
        self._told_changes: dict[str, int] = {}  # the sequence that was told, by id
        self._told_alerts = 0
        self._fired = False

    def run(self) -> int:
        """The story, in order; the exit code."""
        self._screen.playing(HOURS)
        began = time.monotonic()
        player = Thread(target=self._play, name="demo-player", daemon=True)
        player.start()
        try:
            self._until_evaluated(player, began)
            self._until_alerted(began)
            return self._finish()
        finally:
            self._ended.set()  # also for the player
            player.join()

    def _play(self) -> None:
        addresses = self._service.addresses
        player = Player(
            addresses["otlp_http"], addresses["otlp_grpc"], stopped=self._ended.is_set, wait=self._ended.wait
        )
        try:
            self._progress = player.play(self._traffic.requests(), self._note)
        except (DriftlineError, OSError) as error:
            self._failure = error

    def _note(self, progress: Progress) -> None:
        self._progress = progress

    def _until_evaluated(self, player: Thread, began: float) -> None:
        """Return when all that was sent is evaluated, or as much as will be."""
        newest, at = -1, time.monotonic()
        while not self._ended.wait(_LOOK_SECONDS):
            counts = self._look()
            self._screen.progress(self._progress.traces, counts)
            if counts["traces_scored"] != newest or player.is_alive():
                newest, at = counts["traces_scored"], time.monotonic()
            done = counts["traces_scored"] >= self._progress.traces
            if not player.is_alive() and (done or time.monotonic() - at > _SETTLED_SECONDS):
                self._screen.played(self._progress.traces, counts, time.monotonic() - began)
                self._tell_what_is_known()
                return

    def _until_alerted(self, began: float) -> None:
        """Return when an alert has arrived, or the time for it is over."""
        while not self._fired and not self._ended.is_set():
            if time.monotonic() - began > self._options.deadline_seconds:
                self._screen.missed(self._options.deadline_seconds)
                return
            self._look()
            self._ended.wait(_LOOK_SECONDS)

    def _finish(self) -> int:
        if self._options.leave:
            return 0 if self._fired else 1
        if not self._ended.is_set():
            self._screen.serving(self._service.addresses)
        while not self._ended.wait(_LOOK_SECONDS):
            self._look()
        self._screen.stopped()
        return 0

    def _look(self) -> Mapping[str, int]:
        """Tell what is new.

        Raises:
            DriftlineError: the service or the player has failed.
        """
        if self._failure is not None:
            raise self._failure
        if problems := self._service.failures():
            raise DriftlineError("; ".join(problems))
        counts = self._service.counts()
        if counts["changes"] > len(self._told_changes):
            self._tell_changes()
        for body in self._receiver.bodies[self._told_alerts :]:
            self._told_alerts += 1
            self._fired = self._fired or fires(body)
            self._screen.alerted(body)
        return counts

    def _tell_changes(self) -> None:
        for change in sorted(self._service.changes(), key=lambda change: (change.detected_ns, change.id)):
            if change.id not in self._told_changes:
                self._told_changes[change.id] = change.sequence
                self._screen.changed(change)

    def _tell_what_is_known(self) -> None:
        for change in sorted(self._service.changes(), key=lambda change: (change.detected_ns, change.id)):
            if change.sequence > self._told_changes.get(change.id, change.sequence):
                self._screen.known(change)


def configuration(listen: Mapping[str, str], store: Path, alerts_url: str, alertmanager: str | None) -> dict[str, Any]:
    """The demo's configuration, as it would stand in a file."""
    page = f"http://{listen['web']}"
    alerts: dict[str, Any] = {
        "log": False,
        "webhook": {"url": alerts_url},
        "trace_url": page + "/traces/{trace_id}",
        "change_url": page + "/changes/{change_id}",
    }
    if alertmanager is not None:
        alerts["alertmanager"] = {"url": alertmanager}
    return {
        "listen": dict(listen),
        "store": {"path": str(store)},
        "monitors": [
            {"watch": "groundedness", "by": ["service", "version"]},
            {"watch": "refusal", "by": ["service", "version"]},
        ],
        "false_pages": "1 per week",
        "alerts": alerts,
    }


def fires(body: Mapping[str, Any]) -> bool:
    """Whether a webhook body tells of a change that lasts."""
    return any(notification.get("status") == "firing" for notification in body.get("notifications", ()))


def fresh_store(folder: Path) -> Path:
    """Where to keep the data: in `folder`, without what an earlier demo left there.

    Raises:
        UserError: the folder cannot be made or emptied of that.
    """
    store = folder / STORE_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{STORE_NAME}*"):
            old.unlink()
    except OSError as error:
        raise UserError(f"--data {folder}: cannot be used: {error.strerror}") from error
    return store


def free_addresses() -> tuple[dict[str, str], dict[str, str]]:
    """Loopback addresses to listen on, the usual ones where they are free; and in words which are not, by listener."""
    listen, moved = {}, {}
    for name, (words, usual) in USUAL_ADDRESSES.items():
        port = usual if _is_free(usual) else _any_free_port()
        listen[name] = f"127.0.0.1:{port}"
        if port != usual:
            moved[name] = f"port {usual} is taken, so {words} is on {port}"
    return listen, moved


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a port left a minute ago counts as taken
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
