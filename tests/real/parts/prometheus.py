"""A real Prometheus that scrapes what a test names, and its own answers over HTTP; `promtool` for files."""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.real.parts.process import Process, free_ports, program, wait_until

_PACKAGE = "prometheus"
_TOOL_SECONDS = 60.0


@dataclass(frozen=True)
class Sample:
    """One series of an instant query: its labels and its value."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Exemplar:
    """One exemplar as Prometheus stored it: the series it belongs to, its own labels, its value."""

    series: dict[str, str]
    labels: dict[str, str]
    value: float


class Prometheus:
    """One Prometheus, with exemplar storage on; `url` is where it listens.

    A `document` is its whole configuration instead of what the other arguments say, taken as it is.
    """

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str],
        *,
        interval: str = "200ms",
        metrics_path: str = "/metrics",
        token: str | None = None,
        rules: Sequence[Path] = (),
        alertmanagers: Sequence[str] = (),
        takes_remote_write: bool = False,
        scrape: Mapping[str, object] | None = None,
        binary: str | Path = "",
        document: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            scrape: more keys of the scrape configuration.
            binary: of another version than the installed one.
        """
        binary = binary or program("prometheus", _PACKAGE)
        address = f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"http://{address}"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(
            yaml.safe_dump(
                document
                or {
                    "global": {
                        "scrape_interval": interval,
                        "scrape_timeout": interval,
                        "evaluation_interval": interval,
                    },
                    "rule_files": [str(path) for path in rules],
                    "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
                    "scrape_configs": [
                        {
                            "job_name": "driftline",
                            "metrics_path": metrics_path,
                            "static_configs": [{"targets": list(targets)}],
                            **({"authorization": {"credentials": token}} if token else {}),
                            **(scrape or {}),
                        }
                    ],
                }
            )
        )
        self.process = Process(
            "prometheus",
            [
                str(binary),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
                "--enable-feature=exemplar-storage",
                # it takes 5 s to learn where Alertmanager is; an alert that fired before is sent again only then
                "--rules.alert.resend-delay=1s",
                *(["--web.enable-remote-write-receiver"] if takes_remote_write else []),
            ],
            folder / "prometheus.log",
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_ready(lambda: httpx.get(f"{self.url}/-/ready").status_code == 200)

    def stop(self) -> None:
        self.process.stop()

    def query(self, expression: str) -> list[Sample]:
        """The series of an instant query, now."""
        found = self._ask("query", query=expression)["result"]
        return [Sample(series["metric"], float(series["value"][1])) for series in found]

    def native_histograms(self, expression: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """The native histograms of an instant query, now: labels, and `count`, `sum` and `buckets` as told."""
        found = self._ask("query", query=expression)["result"]
        return [(series["metric"], series["histogram"][1]) for series in found if "histogram" in series]

    def exemplars(self, selector: str, since_seconds: float = 3600.0) -> list[Exemplar]:
        """The exemplars stored for the series of `selector` in the last `since_seconds`."""
        now = time.time()
        found = self._ask("query_exemplars", query=selector, start=now - since_seconds, end=now + 60)
        return [
            Exemplar(series["seriesLabels"], one["labels"], float(one["value"]))
            for series in found
            for one in series["exemplars"]
        ]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, with `health` and `lastError` of each."""
        found: list[dict[str, Any]] = self._ask("targets", state="active")["activeTargets"]
        return found

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts of its own rules that are pending or firing."""
        found: list[dict[str, Any]] = self._ask("alerts")["alerts"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Its own rules, with `health` and `lastError` of each once it was evaluated."""
        groups: list[dict[str, Any]] = self._ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def wait_for(
        self,
        expression: str,
        enough: Callable[[list[Sample]], object] = bool,
        deadline_seconds: float = 30.0,
    ) -> list[Sample]:
        """The answer to `expression` once it is `enough` (by default: not empty)."""

        def look() -> list[Sample]:
            found = self.query(expression)
            return found if enough(found) else []

        return wait_until(look, f"an answer to {expression}", deadline_seconds)

    def wait_for_scrape(self, deadline_seconds: float = 30.0) -> None:
        """Return when every target was scraped with success."""

        def look() -> bool:
            targets = self.targets()
            errors = [target["lastError"] for target in targets if target["lastError"]]
            assert not errors, errors
            return bool(targets) and all(target["health"] == "up" for target in targets)

        wait_until(look, "every target to be scraped", deadline_seconds)

    def _ask(self, question: str, **params: Any) -> Any:
        reply = httpx.get(f"{self.url}/api/v1/{question}", params=params).json()
        assert reply["status"] == "success", reply
        return reply["data"]


@contextlib.contextmanager
def prometheus(folder: Path, targets: Sequence[str], **options: Any) -> Iterator[Prometheus]:
    """A Prometheus that is ready, with its files under `folder`; options as of `Prometheus`."""
    part = Prometheus(folder, targets, **options)
    try:
        part.start()
        yield part
    finally:
        part.stop()


def promtool(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run promtool (`check rules FILE`, `test rules FILE`, `check metrics` of a page on `stdin`)."""
    command = [program("promtool", _PACKAGE), *map(str, arguments)]
    return subprocess.run(command, input=stdin or b"", capture_output=True, timeout=_TOOL_SECONDS)
