"""A real OpenTelemetry Collector, built from its Go modules once and kept; run it as a module to build it."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.real.parts.gotools import find_go, run_to_end
from tests.real.parts.kafka import cache_folder
from tests.real.parts.process import Process, free_ports, missing

_PARTS = Path(__file__).parent / "otelcol" / "builder.yaml"
_BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.165.0"
_VALIDATE_SECONDS = 60.0

Document = Mapping[str, Any]


class Collector:
    """One Collector that takes OTLP at `otlp_http` and `otlp_grpc`; `document` is its configuration but for those."""

    def __init__(self, folder: Path, document: Document, *, feature_gates: Sequence[str] = ()) -> None:
        http, grpc, health = free_ports(3)
        self.otlp_http, self.otlp_grpc = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}"
        self._metrics = f"http://127.0.0.1:{health}/metrics"
        folder.mkdir(parents=True, exist_ok=True)
        whole = dict(document)
        whole["receivers"] = {
            "otlp": {
                "protocols": {
                    name: {"endpoint": f"127.0.0.1:{port}", "include_metadata": True}  # headers go on with the data
                    for name, port in (("http", http), ("grpc", grpc))
                }
            }
        }
        reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": health}}}}
        whole["service"] = {**whole["service"], "telemetry": {"metrics": {"readers": [reader]}}}
        config = folder / "otelcol.yaml"
        config.write_text(yaml.safe_dump(whole))
        command = [str(collector_binary()), "--config", str(config)]
        if feature_gates:
            command += ["--feature-gates", ",".join(feature_gates)]
        self.process = Process("otelcol", command, folder / "otelcol.log")

    def start(self) -> None:
        """Start it and return when it takes spans."""
        self.process.start()
        self.process.wait_ready(self._answers)

    def stop(self) -> None:
        """Shut down in good order: what it holds is sent first."""
        self.process.stop()

    def _answers(self) -> bool:
        # an empty request: what comes of it is nothing
        headers = {"content-type": "application/json"}
        return httpx.post(f"{self.otlp_http}/v1/traces", content=b"{}", headers=headers).status_code == 200


@contextlib.contextmanager
def collector(folder: Path, document: Document, **options: Any) -> Iterator[Collector]:
    """A Collector that takes spans, with its configuration and log under `folder`; options as of `Collector`."""
    part = Collector(folder, document, **options)
    try:
        part.start()
        yield part
    finally:
        part.stop()


def validate(config: Path) -> str:
    """What the Collector has against a configuration file; empty if it takes it."""
    command = [str(collector_binary()), "validate", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_VALIDATE_SECONDS)
    return "" if done.returncode == 0 else done.stdout + done.stderr


# --- where it comes from -----------------------------------------------------------------------------------------


def collector_binary() -> Path:
    """The program; `missing` if it was not built."""
    binary = _cached()
    if not binary.is_file():
        missing("the OpenTelemetry Collector", "apt-get install golang, then `make collector` (minutes, once)")
    return binary


def build() -> Path:
    """The program, built if it is not there yet: that takes Go, its module proxy, and minutes."""
    binary = _cached()
    if binary.is_file():
        return binary
    go = find_go("the Collector")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as unfinished:
        folder = Path(unfinished)
        env = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(folder)}
        config = yaml.safe_load(_PARTS.read_text())
        config["dist"] |= {"output_path": str(folder / "out"), "go": go}
        (folder / "builder.yaml").write_text(yaml.safe_dump(config))
        run_to_end([go, "install", _BUILDER], env)
        run_to_end([str(folder / "builder"), "--config", str(folder / "builder.yaml"), "--ldflags=-s -w"], env)
        (folder / "out" / "otelcol").replace(binary)  # whole, or not there: another run may look for it
    return binary


def _cached() -> Path:
    return cache_folder() / f"otelcol-{hashlib.sha256(_PARTS.read_bytes()).hexdigest()[:12]}"


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
