"""The schemas of other projects' Kubernetes objects, from their Go modules: a second each, once."""

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

_DOWNLOAD_SECONDS = 60.0
_OPERATOR = ("github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd")
_ARGO = ("github.com/argoproj/argo-rollouts@v1.8.3", "manifests/crds")
_FLAGGER = ("github.com/fluxcd/flagger@v1.36.1", "artifacts/flagger")
_FILES = {
    "PrometheusRule": (*_OPERATOR, "monitoring.coreos.com_prometheusrules.yaml"),
    "ServiceMonitor": (*_OPERATOR, "monitoring.coreos.com_servicemonitors.yaml"),
    "PodMonitor": (*_OPERATOR, "monitoring.coreos.com_podmonitors.yaml"),
    "AnalysisTemplate": (*_ARGO, "analysis-template-crd.yaml"),
    "Rollout": (*_ARGO, "rollout-crd.yaml"),
    "MetricTemplate": (*_FLAGGER, "crd.yaml"),
    "Canary": (*_FLAGGER, "crd.yaml"),
}


@cache
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of an object, such as `PrometheusRule`; unknown keys are errors."""
    module, folder, file = _FILES[kind]
    documents = yaml.safe_load_all((_module(module) / folder / file).read_text())
    (document,) = (one for one in documents if one["spec"]["names"]["kind"] == kind)
    (version,) = (one for one in document["spec"]["versions"] if one["storage"])
    found: dict[str, Any] = _strict(version["schema"]["openAPIV3Schema"])
    return found


@cache
def _module(name: str) -> Path:
    go = shutil.which("go")
    if go is None:
        missing(f"Go, for the schemas of {name}", "apt-get install golang")
    with tempfile.TemporaryDirectory() as folder:  # without a go.mod around, it takes no note of what it fetched
        command = [go, "mod", "download", "-json", name]
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            env={**os.environ, "GOWORK": "off"},
        )
    if done.returncode != 0:
        missing(f"the Go module {name}", f"a module proxy is needed once: {done.stdout}{done.stderr}")
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
