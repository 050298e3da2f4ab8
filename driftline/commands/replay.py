"""`driftline replay`: recorded traffic through the same pipeline, offline, at full speed, on event time."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import orjson
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress

from collector.core.engine import SPANS, TICK_KIND, Record
from collector.core.errors import DriftlineError, Rejected, UserError
from collector.core.printable import entry
from collector.core.settings import parse_duration
from collector.redaction.keys import read_key
from collector.wire.read import read_body
from driftline.backtest import backtest
from driftline.build import build
from driftline.commands.replay_words import Replayed, side_by_side
from driftline.config import Config, load_config
from driftline.export.period import Period, parse_moment
from driftline.flow import load_parts
from driftline.kafka_range import KafkaTraffic, parse_range
from driftline.logs import redact_logs
from driftline.run_cost import cost_of, parse_prices
from driftline.service import Service
from driftline.stages.ticks import END_OF_INPUT

_BYTES_PER_APPEND = 4 * 2**20


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="YAML file; without one, the defaults.")
@click.option(
    "--against", type=click.Path(path_type=Path), help="Another configuration: both are replayed and compared."
)
@click.option(
    "--kafka", "ranges", multiple=True, metavar="TOPIC@FROM..TO", help="A part of a topic of the `kafka:` section."
)
@click.option("--incident", "incidents", multiple=True, metavar="TIME", help="Something was wrong from then on (UTC).")
@click.option("--quiet", "windows", multiple=True, metavar="FROM..TO", help="Nothing was wrong then: pages are false.")
@click.option("--price", "priced", multiple=True, metavar="SCORER=AMOUNT", help="What a run of a scorer costs.")
@click.option("--within", default="24h", show_default=True, help="How long after its beginning an incident must page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: counts, decisions, changes.")
def command(
    files: Sequence[Path],
    path: Path | None,
    against: Path | None,
    ranges: Sequence[str],
    incidents: Sequence[str],
    windows: Sequence[str],
    priced: Sequence[str],
    within: str,
    as_json: bool,
) -> None:
    """Replay OTLP FILES (traces and logs, protobuf or JSON, gzip allowed; a folder means its files by name).

    With --kafka, also what a topic holds: FROM and TO are offsets, or days or moments. Nothing is sent to anyone, no
    offset is committed. Exits with 3 if a file or a message could not be read; the others are still replayed.
    """
    if not files and not ranges:
        raise UserError("FILES: none are given, and no --kafka; what is to be replayed?")
    paths = list(expand(files))
    known = Known.of(incidents, windows, within, parse_prices(priced))
    configs = {str(file or "defaults"): load_config(file) for file in ((path,) if against is None else (path, against))}
    if against is not None and len(configs) < 2:
        raise UserError(f"--against: {str(against)!r} is the configuration itself; two are compared")
    kafka = next(iter(configs.values())).kafka
    traffic = KafkaTraffic(kafka, [parse_range(text) for text in ranges]) if ranges else None
    found = {name: replay(config, paths, known, as_json, traffic) for name, config in configs.items()}
    first, *others = found.values()
    if as_json:
        document = first.to_json()
        click.echo(orjson.dumps(document if not others else {**document, "against": others[0].to_json()}))
    else:
        for problem in first.problems:
            click.echo(f"driftline: {problem}", err=True)
        for name, one in found.items():
            for line in ([f"{name}:"] if others else []) + one.lines():
                click.echo(entry(line))
        for line in side_by_side(found) if others else ():
            click.echo(entry(line))
    if first.problems:
        what = f"of {len(paths)} files" if traffic is None else "files and messages"
        raise DriftlineError(f"{len(first.problems)} {what} could not be read")


@dataclass(frozen=True)
class Known:
    """What is known of the recorded time, and of what a run of a scorer costs."""

    incidents: Sequence[int]
    quiet: Sequence[Period]
    within_ns: int
    prices: Mapping[str, float]

    @classmethod
    def of(cls, incidents: Sequence[str], windows: Sequence[str], within: str, prices: Mapping[str, float]) -> "Known":
        """From options.

        Raises:
            UserError: one is no time or window; the message names the option.
        """
        quiet = []
        for window in windows:
            begin, dots, end = window.partition("..")
            if not dots or not begin or not end:
                raise UserError(f"--quiet: {window!r} is not FROM..TO, such as 2026-03-01..2026-03-08")
            from_ns, to_ns = (parse_moment("--quiet", text, 0) for text in (begin, end))
            if to_ns <= from_ns:
                raise UserError(f"--quiet: {window!r} ends before it begins")
            quiet.append(Period(from_ns, to_ns))
        try:
            within_ns = round(parse_duration(within) * 1e9)
        except ValueError as error:
            raise UserError(f"--within: {error}") from error
        return cls([parse_moment("--incident", text, 0) for text in incidents], quiet, within_ns, prices)


def replay(
    config: Config, paths: Sequence[Path], known: Known, quiet: bool, traffic: KafkaTraffic | None = None
) -> Replayed:
    """The files, and then what Kafka has, through the pipeline of one configuration."""
    scorers = load_parts(config)[0]
    if unknown := sorted(known.prices.keys() - {one.name for one in scorers}):
        names = ", ".join(one.name for one in scorers)
        raise UserError(f"--price: {unknown[0]!r} is not one of the scorers ({names})")
    with tempfile.TemporaryDirectory(prefix="driftline-replay-") as folder:
        service = build(offline(config, Path(folder)))
        redact_logs(service.redactor)
        try:
            problems = feed(service, paths, quiet, traffic)
            changes = service.changes()
            traffic_time = Period(service.view.earliest_ns() or 0, service.view.latest_ns() or 0)
            funnel = service.view.funnel()
            columns = ("scorer", "decision", "reason", "count")
            counts, runs = service.counts(), service.scorer_runs()
            own = [scorer.name for scorer in scorers if not scorer.shipped]
            return Replayed(
                counts,
                [dict(zip(columns, row, strict=True)) for row in funnel],
                changes,
                problems,
                backtest(changes, known.incidents, known.quiet, known.within_ns, traffic_time),
                runs,
                cost_of(runs, counts["traces_scored"], known.prices, own),
                service.scorer_seconds(),
            )
        finally:
            service.stop()


def expand(files: Sequence[Path]) -> Iterator[Path]:
    """The files, with folders replaced by the files in them, by name.

    Raises:
        UserError: one does not exist.
    """
    for file in files:
        if file.is_dir():
            yield from sorted(inner for inner in file.iterdir() if inner.is_file())
        elif file.is_file():
            yield file
        else:
            raise UserError(f"{file}: there is no such file or folder")


def offline(config: Config, folder: Path) -> Config:
    """`config` with a store of its own that forgets nothing, and no listeners, Kafka, alerts or exports."""
    document = {
        "listen": {"otlp_http": None, "otlp_grpc": None, "web": None},
        "store": {
            "path": folder / "replay.db",
            "retention": "100000d",
            "max_backlog": "1000GiB",
            "max_size": "1000GiB",
        },
        "alerts": {"log": False},
        "export": {},
        "metrics": {},
        "gate": {},
        "shed": {"after": None},
    }
    redact = config.redact
    if redact.key is None and (key := read_key(config.store.path)) is not None:  # the same tokens as live
        redact = redact.model_copy(update={"key": SecretStr(key.decode())})
    silent = Config.model_validate(document)
    return config.model_copy(
        update={"kafka": None, "cluster": None, "redact": redact, **{name: getattr(silent, name) for name in document}}
    )


def feed(service: Service, paths: Sequence[Path], quiet: bool, traffic: KafkaTraffic | None = None) -> list[str]:
    """Everything through the pipeline; returns the files and messages that could not be read, with the reason."""
    problems: list[str] = []
    inbox = _Inbox(service)
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        for path in progress.track(paths, description="replaying"):
            try:
                kind, body = read_body(path.read_bytes(), path.name)
            except (Rejected, OSError) as error:
                problems.append(f"{path}: {error}")
                continue
            inbox.add(service.network.records(kind, body, ""))
        task = progress.add_task("messages", total=None, visible=traffic is not None)
        for message in traffic.messages() if traffic is not None else ():
            progress.advance(task)
            try:
                request, tenant = message.request()
            except Rejected as error:
                problems.append(f"{message}: {error}")
                continue
            inbox.add(service.network.records(request.kind, request.body, tenant))
        inbox.add([Record(END_OF_INPUT, kind=TICK_KIND)])
        inbox.flush()
    return problems


class _Inbox:
    """Takes requests, and has them worked on some megabytes at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: list[Record] = []
        self._bytes = 0

    def add(self, records: Sequence[Record]) -> None:
        self._waiting += records
        self._bytes += sum(len(record.value) for record in records)
        if self._bytes >= _BYTES_PER_APPEND:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._service.engine.append(SPANS, self._waiting).result()
            self._service.drain()
            self._waiting, self._bytes = [], 0
