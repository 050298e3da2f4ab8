"""A real Alertmanager that hands its notifications to a webhook, what it holds, and `amtool`."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.real.parts.process import Process, free_ports, program, wait_until

_PACKAGE = "prometheus-alertmanager"
_TOOL_SECONDS = 60.0

Alert = dict[str, Any]


class Alertmanager:
    """One Alertmanager without peers; `url` is where it listens, `address` the same as `host:port`.

    It notifies at once instead of gathering alerts for half a minute first. A `document` is its whole configuration
    instead, taken as it is.
    """

    def __init__(
        self,
        folder: Path,
        webhook_url: str,
        *,
        group_by: Sequence[str] = ("...",),
        route: Mapping[str, Any] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        binary = program("prometheus-alertmanager", _PACKAGE)
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"http://{self.address}"
        folder.mkdir(parents=True, exist_ok=True)
        self.config_path = folder / "alertmanager.yml"
        self.config_path.write_text(
            yaml.safe_dump(
                document
                or {
                    "route": {
                        "receiver": "webhook",
                        "group_by": list(group_by),
                        "group_wait": "100ms",
                        "group_interval": "500ms",
                        "repeat_interval": "1h",
                        **(route or {}),
                    },
                    "receivers": [
                        {"name": "webhook", "webhook_configs": [{"url": webhook_url, "send_resolved": True}]}
                    ],
                }
            )
        )
        self.process = Process(
            "alertmanager",
            [
                binary,
                f"--config.file={self.config_path}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
            ],
            folder / "alertmanager.log",
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_ready(lambda: httpx.get(f"{self.url}/-/ready").status_code == 200)

    def stop(self) -> None:
        self.process.stop()

    def alerts(self) -> list[Alert]:
        """The alerts it holds, resolved ones left out, as its API shows them."""
        reply = httpx.get(f"{self.url}/api/v2/alerts")
        reply.raise_for_status()
        found: list[Alert] = reply.json()
        return found

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> httpx.Response:
        """Send alerts as a Prometheus would."""
        return httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts))

    def wait_for_alerts(
        self, enough: Callable[[list[Alert]], object] = bool, deadline_seconds: float = 30.0
    ) -> list[Alert]:
        """The alerts it holds once they are `enough` (by default: any)."""

        def look() -> list[Alert]:
            found = self.alerts()
            return found if enough(found) else []

        return wait_until(look, "alerts at Alertmanager", deadline_seconds)

    def amtool(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run amtool against this Alertmanager (`alert query`, `silence add ...`)."""
        return amtool(f"--alertmanager.url={self.url}", *arguments)


@contextlib.contextmanager
def alertmanager(folder: Path, webhook_url: str, **options: Any) -> Iterator[Alertmanager]:
    """An Alertmanager that is ready, with its files under `folder`; options as of `Alertmanager`."""
    part = Alertmanager(folder, webhook_url, **options)
    try:
        part.start()
        yield part
    finally:
        part.stop()


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run amtool (`check-config FILE`)."""
    command = [program("amtool", _PACKAGE), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TOOL_SECONDS)
