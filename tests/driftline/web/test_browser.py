"""A real browser opens the page: the change is there, the script runs under the policy, nothing is loaded from afar."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.driftline.web.service import Service, trace_id

pytestmark = pytest.mark.real

_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """`browse(address)`: the document as it is after the page has run, and what the console said."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium: apt-get install chromium")

    def run(address: str, *options: str) -> str:
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [chromium, *_OPTIONS, profile, "--enable-logging=stderr", "--dump-dom", *options, address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert console == []
        return done.stdout

    return run


def test_the_active_change_is_on_the_page_and_the_script_runs(
    incident: Service, serve: Callable[[Service], str], browse: Callable[..., str]
) -> None:
    dom = browse(serve(incident) + "/")
    assert 'data-change="c0ffee00c0ffee00c0ff"' in dom
    assert "Pass rate of groundedness fell from 91.4% to 78.2%" in dom
    assert "Pause updates" in dom  # put there by the script


def test_the_page_updates_itself(
    incident: Service, serve: Callable[[Service], str], browse: Callable[..., str]
) -> None:
    asked = 0
    usual = incident.counts

    def counts() -> dict[str, int]:
        nonlocal asked
        asked += 1
        return {**usual(), "traces_received": 77_000 + asked}

    incident.counts = counts  # type: ignore[method-assign]
    dom = browse(serve(incident) + "/", "--virtual-time-budget=12000")
    assert asked >= 2
    assert "77,001" not in dom
    assert "77,00" in dom


def test_the_pages_of_a_trace_and_a_change_open(
    incident: Service, serve: Callable[[Service], str], browse: Callable[..., str]
) -> None:
    address = serve(incident)
    assert "TimeoutError in pii.py:88" in browse(f"{address}/traces/{trace_id(5)}")
    dom = browse(f"{address}/changes/c0ffee00c0ffee00c0ff")
    assert "What carries it" in dom
    assert dom.index("What carries it") < dom.index("What changed then") < dom.index("search 1f0c33ab")


def test_a_rollout_is_drawn_with_its_margin(
    incident: Service, serve: Callable[[Service], str], browse: Callable[..., str]
) -> None:
    address = serve(incident) + "/"
    dom = browse(address)
    rollout = dom[dom.index('data-rollout="shop-assistant"') :]
    assert rollout.index("2.4") < rollout.index("2.3") < rollout.index("fail") < rollout.index("more such pairs")
    assert rollout[: rollout.index("</article>")].count('class="limit"') == 3
