"""What every test may use: the real parts, each started when a test first asks for it and stopped at the end."""

import contextlib
import gc
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:  # a run of the quick tests alone need not load clients it never uses
    from tests.real.parts.alertmanager import Alertmanager
    from tests.real.parts.kafka import KafkaBroker
    from tests.real.parts.prometheus import Prometheus
    from tests.real.parts.webhook import Webhook

_KAFKA = "kafka"  # in the name of a module: its tests are clients of a broker
_REAL_FIXTURES = {"kafka", "prometheus_factory", "alertmanager_factory"}


# A machine that has other things to do is no fault of what is tested.
settings.register_profile("driftline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("driftline")


def pytest_configure(config: pytest.Config) -> None:
    # kafka-python reads its message schemas with functions that Python 3.11 calls deprecated and 3.13 no longer does
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a real part, or lies under tests/real, is marked `real`: nobody has to remember it."""
    real_folder = Path(__file__).parent / "real"
    for item in items:
        if real_folder in item.path.parents or _REAL_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.real)
        if _KAFKA in item.path.name or "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(autouse=True)
def _log_handlers() -> Iterator[None]:
    """Commands redact what the process logs, for good: not so for the tests that come after."""
    formatters = [(handler, handler.formatter) for handler in logging.getLogger().handlers]
    yield
    for handler, formatter in formatters:
        handler.setFormatter(formatter)


@pytest.fixture(autouse=True)
def _sockets_of_kafka_python(request: pytest.FixtureRequest) -> Iterator[None]:
    """It leaves some unclosed where it was refused: they are found while that is no error, not in a later test."""
    yield
    if _KAFKA in request.path.name or "kafka" in request.fixturenames:
        gc.collect()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[KafkaBroker]":
    """One broker for the whole run: use topics and groups of your own; to stop one, start another by `kafka_broker`."""
    from tests.real.parts.kafka import kafka_broker

    with kafka_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def prometheus_factory(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Callable[..., Prometheus]]":
    """`prometheus_factory(["127.0.0.1:8321"])` starts a Prometheus that scrapes there; options as of `Prometheus`."""
    from tests.real.parts.prometheus import prometheus

    with contextlib.ExitStack() as running:

        def start(targets: list[str], **options: Any) -> "Prometheus":
            return running.enter_context(prometheus(tmp_path_factory.mktemp("prometheus"), targets, **options))

        yield start


@pytest.fixture(scope="session")
def alertmanager_factory(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Callable[..., Alertmanager]]":
    """`alertmanager_factory(webhook.url)` starts an Alertmanager that notifies there; options as of `Alertmanager`."""
    from tests.real.parts.alertmanager import alertmanager

    with contextlib.ExitStack() as running:

        def start(webhook_url: str, **options: Any) -> "Alertmanager":
            return running.enter_context(alertmanager(tmp_path_factory.mktemp("alertmanager"), webhook_url, **options))

        yield start


@pytest.fixture
def webhook_receiver() -> "Iterator[Webhook]":
    """The far end of a webhook: what arrived there, and what it answers."""
    from tests.real.parts.webhook import webhook

    with webhook() as hook:
        yield hook


@pytest.fixture(scope="session")
def unique_name() -> Callable[[str], str]:
    """`unique_name("spans")`: a name no other test of this run has, for topics and groups on a shared broker."""
    numbers = itertools.count(1)
    return lambda stem: f"{stem}-{next(numbers)}"
