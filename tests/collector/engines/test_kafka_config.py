"""What the configuration of a cluster refuses, without a cluster."""

import sys

import pytest
from pydantic import ValidationError

from collector.engines.kafka_config import KafkaEngineConfig


def test_a_codec_that_is_not_installed_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ValidationError, match=r"zstd needs a package that is not installed: pip install 'driftline\[comp"
    ):
        KafkaEngineConfig(brokers=["kafka:9092"], compression="zstd")
