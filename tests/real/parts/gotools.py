"""Programs that are built from their Go modules once and kept; run it as a module to build all of them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.real.parts.kafka import cache_folder
from tests.real.parts.process import missing

_OLDEST_GO = (1, 21)  # since then Go fetches the newer one that the modules ask for
_BUILD_SECONDS = 3600.0  # some take minutes of processor time, and the machine may be busy with more
_ASK_SECONDS = 60.0

_TOOLS = {
    "kustomize": "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1",  # Kubernetes manifests from bases and overlays
    "compose": "github.com/compose-spec/compose-go/v2/cmd@v2.9.1",  # the parser of Docker Compose, with its schema
    "prometheus": "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0",  # 3.16: newer than Debian's
}
_OPTIONS = {"prometheus": ["-tags=remove_all_sd"]}  # no discovery at clouds: a fifth of the time and of the size


def tool(name: str) -> Path:
    """The program; `missing` if it was not built."""
    binary = _cached(name)
    if not binary.is_file():
        missing(name, "apt-get install golang, then `make gotools` (minutes, once)")
    return binary


def build(name: str) -> Path:
    """The program, built if it is not there yet: that takes Go and its module proxy."""
    binary = _cached(name)
    if binary.is_file():
        return binary
    go = find_go(name)
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as unfinished:
        run_to_end(
            [go, "install", "-ldflags=-s -w", *_OPTIONS.get(name, ()), _TOOLS[name]],
            {**os.environ, "CGO_ENABLED": "0", "GOBIN": unfinished},
        )
        (built,) = Path(unfinished).iterdir()
        built.replace(binary)  # whole, or not there: another run may look for it
    return binary


def find_go(what: str) -> str:
    """The command `go`.

    Raises:
        SystemExit: it is not there, or too old to build anything.
    """
    go = shutil.which("go")
    if go is None or _go_version(go) < _OLDEST_GO:
        raise SystemExit(f"Go {'.'.join(map(str, _OLDEST_GO))} or newer is needed to build {what}")
    return go


def run_to_end(command: list[str], env: Mapping[str, str]) -> None:
    """Run a step of a build.

    Raises:
        SystemExit: with all it said, if it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, env=env)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _cached(name: str) -> Path:
    return cache_folder() / f"{name}-{_TOOLS[name].rpartition('@v')[2]}"


def _go_version(go: str) -> tuple[int, int]:
    told = subprocess.run([go, "version"], capture_output=True, text=True, timeout=_ASK_SECONDS).stdout
    found = re.search(r"go(\d+)\.(\d+)", told)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


if __name__ == "__main__":
    for each in _TOOLS:
        sys.stdout.write(f"{build(each)}\n")
