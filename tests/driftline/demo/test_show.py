"""What the demo prints, and in which order."""

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from drift.base import Carrier, Change, Estimate
from driftline.demo.show import Screen, size_words
from driftline.demo.traffic import Truth

ONSET_NS = 1_700_000_000 * 10**9
TRUTH = Truth("clinic-assistant", ONSET_NS)
ADDRESSES = {"otlp_http": "127.0.0.1:4318", "otlp_grpc": "127.0.0.1:4317", "web": "127.0.0.1:8321"}
CHANGE = Change(
    id="c1",
    status="active",
    monitor="groundedness",
    metric="groundedness",
    statistic="mean",
    slice={"service": "clinic-assistant"},
    direction="down",
    detector="mean",
    evidence=30.0,
    threshold=20.0,
    detected_ns=ONSET_NS + 600 * 10**9,
    onset_ns=ONSET_NS + 20 * 10**9,
    onset_low_ns=ONSET_NS - 60 * 10**9,
    onset_high_ns=ONSET_NS + 90 * 10**9,
    before=Estimate(0.74, 0.73, 0.75, 900),
    after=Estimate(0.6, 0.55, 0.65, 60),
    size=Estimate(-0.14, -0.19, -0.09, 60),
    carriers=[Carrier("version", "2.4.0", 1.0, None, 0.6, True)],
    traces=["a" * 32],
)


def told(terminal: bool = False) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    return Screen(Console(file=out, force_terminal=terminal, width=200), 3000, TRUTH), out


def test_a_change_is_held_against_what_was_done() -> None:
    screen, out = told()
    screen.changed(CHANGE)
    text = out.getvalue()
    assert "groundedness went down" in text
    assert "service clinic-assistant" in text
    assert "0.74 before, 0.6 after: -0.14 (95%: -0.19 to -0.09)" in text
    assert "22:13:40 UTC, between 22:12:20 UTC and 22:14:50 UTC; in truth 22:13:20 UTC" in text
    assert "10 min 0 s after it" in text
    assert "version 2.4.0 (new): 100% of it" in text
    assert "/traces/" + "a" * 32 in text


def test_what_is_known_later_is_told_in_short() -> None:
    screen, out = told()
    screen.known(CHANGE)
    assert "Now known of the mean of groundedness" in out.getvalue()
    assert "version 2.4.0 (new): 100% of it" in out.getvalue()
    assert "noticed" not in out.getvalue()


def test_a_change_that_is_told_with_another_says_so() -> None:
    screen, out = told()
    screen.changed(replace(CHANGE, paged=False, related="c0"))
    assert "none: told with c0" in out.getvalue()


def test_rates_are_told_in_points() -> None:
    change = replace(CHANGE, statistic="pass_rate")
    assert size_words(change) == "74.0% before, 60.0% after: -14.0 points (95%: -19.0 to -9.0)"


def test_an_alert_is_told_in_its_own_words() -> None:
    screen, out = told()
    body: dict[str, Any] = {
        "notifications": [
            {"status": "firing", "annotations": {"summary": "groundedness fell [by 14%]", "description": "one\n\ntwo"}}
        ]
    }
    screen.alerted(body)
    screen.alerted({})
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert lines == ["Alert received (firing)", "summary      groundedness fell [by 14%]", "one", "two"]


def test_without_a_terminal_progress_is_a_few_plain_lines() -> None:
    screen, out = told()
    with screen:
        screen.started(ADDRESSES, {"web": "port 8321 is taken, so the page is on 9000"}, "http://127.0.0.1:1/", "/d")
        screen.playing(6.0)
        for sent in range(0, 3001, 10):
            screen.progress(sent, {"traces_scored": sent, "scores": 5 * sent})
        screen.played(3000, {"traces_scored": 3000, "scores": 15000}, 20.0)
    text = out.getvalue()
    assert "http://127.0.0.1:8321/metrics" in text
    assert "port 8321 is taken" in text
    assert text.count("evaluated\n") == 5
    assert "\x1b" not in text
    assert "Evaluated 3,000 traces of 3,000 sent, 15,000 scores" in text


def test_on_a_terminal_progress_is_live_and_the_terminal_is_left_as_it_was() -> None:
    screen, out = told(terminal=True)
    with screen:
        screen.playing(6.0)
        screen.progress(1500, {"traces_scored": 1400, "scores": 7000})
    text = out.getvalue()
    assert "1,500 of 3,000 traces sent, 1,400 evaluated" in text
    assert text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in text  # the cursor is back


def test_the_end_names_the_addresses_and_how_to_stop() -> None:
    screen, out = told()
    screen.serving(ADDRESSES)
    assert "Ctrl-C" in out.getvalue()
    assert "http://127.0.0.1:8321/" in out.getvalue()
    screen.missed(180)
    screen.stopped()
    assert "No alert came within 180 s" in out.getvalue()
