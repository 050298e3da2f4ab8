"""The schemas of the Prometheus operator's objects, from its Go module: a second, once."""

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.real.parts.process import missing

_MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_FOLDER = Path("example") / "prometheus-operator-crd"
_DOWNLOAD_SECONDS = 60.0


@cache
def schema(plural: str) -> dict[str, Any]:
    """The JSON Schema of one of its objects, such as `prometheusrules`; unknown keys are errors."""
    document = yaml.safe_load((_module() / _FOLDER / f"monitoring.coreos.com_{plural}.yaml").read_text())
    (version,) = (one for one in document["spec"]["versions"] if one["name"] == "v1")
    found: dict[str, Any] = _strict(version["schema"]["openAPIV3Schema"])
    return found


@cache
def _module() -> Path:
    go = shutil.which("go")
    if go is None:
        missing("Go, for the operator's schemas", "apt-get install golang")
    with tempfile.TemporaryDirectory() as folder:  # without a go.mod around, it takes no note of what it fetched
        command = [go, "mod", "download", "-json", _MODULE]
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            env={**os.environ, "GOWORK": "off"},
        )
    if done.returncode != 0:
        missing(f"the Go module {_MODULE}", f"a module proxy is needed once: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


def _strict(schema: Any) -> Any:
    """The API server drops what it does not know without a word; a test must not."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    anything = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and not anything and "type" in schema:
        strict["additionalProperties"] = False
    return strict
