"""`make soak`: steady load on a service for ten minutes (or `--minutes`): its memory and files must stay flat.

    python -m benchmarks.soak [--minutes 10] [--traces-per-second 100]

Prints a line every half minute, and at the end whether everything that was accepted was evaluated.
"""

import argparse
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.service import bodies, evaluated, resident_mib, serve

_NS = 1_000_000_000
_LINE_SECONDS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description="Steady load; memory and files must stay flat.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--traces-per-second", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="driftline-soak-") as folder:
        process, addresses = serve(Path(folder), window="1m")
        try:
            sent = load(process.pid, addresses, Path(folder), given.minutes * 60, given.traces_per_second)
            deadline = time.monotonic() + 60
            while (done := evaluated(addresses["web"])) < sent and time.monotonic() < deadline:
                time.sleep(0.5)
            print(f"{sent} traces accepted, {done} evaluated")
        finally:
            process.terminate()
            process.wait()


def load(pid: int, addresses: dict[str, str], folder: Path, seconds: float, rate: int) -> int:
    """Send `rate` traces a second in real time; returns how many were accepted."""
    began = line = time.monotonic()
    sent = 0
    headers = {"content-type": "application/x-protobuf"}
    with httpx.Client(base_url=f"http://{addresses['otlp_http']}", headers=headers, timeout=60) as client:
        while (now := time.monotonic()) - began < seconds:
            for body, _ in bodies(rate, time.time_ns() - _NS, seed=sent, spacing_ns=_NS // rate):
                client.post("/v1/traces", content=body).raise_for_status()
            sent += rate
            if now >= line:
                line = now + _LINE_SECONDS
                files = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
                print(
                    f"{now - began:6.0f} s  {sent:8} traces  {resident_mib(pid):6.0f} MiB  {files:6.0f} MiB of files",
                    flush=True,
                )
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    return sent


if __name__ == "__main__":
    main()
