"""The pages: what somebody sees, and that nothing a trace holds can act."""

from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Literal

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.history import Delivery
from drift.base import Coincidence, Estimate
from drift.series import SeriesStatus
from driftline.web.source import ScorerFacts
from scorers.base import Evidence
from tests.driftline.web.service import (
    MINUTE_NS,
    NOW_NS,
    Service,
    add_changes,
    add_traces,
    change,
    not_scored,
    record,
    rollout,
    scored,
    trace_id,
)

Ask = Callable[..., httpx.Response]
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'\u202e\x00"


class Page(HTMLParser):
    """Elements, ids, text and what is wrong with a page's structure."""

    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def page(answer: httpx.Response) -> Page:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def check_structure(seen: Page) -> None:
    assert len(seen.tags("title")) == len(seen.tags("main")) == len(seen.tags("h1")) == 1
    assert seen.tags("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in seen.elements:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
    assert all("scope" in attributes for attributes in seen.tags("th"))
    assert len(seen.tags("caption")) == len(seen.tags("table"))
    assert {attributes["for"] for attributes in seen.tags("label")} <= set(ids)
    levels = [int(tag[1]) for tag, _ in seen.elements if tag in ("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("path", ["/", f"/traces/{trace_id(5)}", "/changes/c0ffee00c0ffee00c0ff", "/changes/none"])
def test_pages_have_the_structure_that_assistive_tools_need(incident: Service, ask: Ask, path: str) -> None:
    check_structure(page(ask(incident, path)))


def test_a_service_that_has_seen_nothing_says_so(idle: Service, ask: Ask) -> None:
    seen = page(ask(idle, "/"))
    check_structure(seen)
    assert "No active change" in seen.text
    assert "Send OpenTelemetry traces to one of the addresses below." in seen.text
    assert "http://127.0.0.1:4318" in seen.text
    assert "groundedness by service, version: pages if the mean falls" in seen.text


def test_the_first_page_leads_with_the_active_change(incident: Service, ask: Ask) -> None:
    answer = ask(incident, "/")
    text = page(answer).text
    assert "<title>(2) Driftline</title>" in answer.text
    sentence = "Pass rate of groundedness fell from 91.4% to 78.2%"
    assert text.index(sentence) < text.index("traces received") < text.index("Decisions") < text.index("Recent traces")
    assert text.index(sentence) < text.index("Mean of refusal rose")  # related changes stand below what was paged
    for words in (
        "13.2 percentage points lower (95% interval 10.1 to 16.3)",
        "2025-11-24 01:05:40 UTC 1 h 1 min ago",
        "version 2.4 (91% of the change, new",
    ):
        assert words in text
    assert f'href="/traces/{trace_id(0)}"' in answer.text
    assert 'href="/changes/c0ffee00c0ffee00c0ff"' in answer.text


def test_the_funnel_says_at_a_glance_why_something_was_not_scored(idle: Service, ask: Ask) -> None:
    decisions = [
        [scored("pii", 0.0)],
        [not_scored("pii", "not_sampled", "rate")],
        [not_scored("pii", "not_sampled", "rate")],
        [not_scored("pii", "failed", "timeout", detail="TimeoutError in pii.py:88")],
    ]
    add_traces(idle.view, [record(number, made) for number, made in enumerate(decisions)])
    text = page(ask(idle, "/")).text
    assert "pii 4 1 1 failed: timeout 2 not sampled: rate" in text


def test_something_wrong_is_said_before_all_else(incident: Service, ask: Ask) -> None:
    incident.problems = ["score: the disk is full"]
    text = page(ask(incident, "/")).text
    assert text.index("Something is wrong") < text.index("score: the disk is full") < text.index("2 active changes")
    incident.problems, incident.waiting = [], ["kafka: no partition yet"]
    text = page(ask(incident, "/")).text
    assert text.index("Starting") < text.index("kafka: no partition yet")


def test_the_page_of_a_trace_says_why_of_every_scorer(idle: Service, ask: Ask) -> None:
    evidence = [Evidence(3, 17, "unsupported", "paid in gold")] * 25
    decisions = [
        scored("latency", 2.5),
        scored("groundedness", 0.4, False, explanation="Two of five sentences.", evidence=evidence),
        not_scored("tool_call_validity", "filtered", "needs:tool_calls"),
        not_scored("pii", "failed", "exception", detail="KeyError in pii.py:12"),
        scored("refusal", None, None, label="unclear"),
    ]
    add_traces(idle.view, [record(1, decisions, revision=2, error=True, incomplete=True, session_id="chat-9")])
    text = page(ask(idle, f"/traces/{trace_id(1)}")).text
    order = ["groundedness", "pii", "latency", "refusal", "tool_call_validity"]
    rows = text[text.index("Evaluator") :]
    assert [rows.index(name) for name in order] == sorted(rows.index(name) for name in order)
    for words in (
        trace_id(1),
        "error incomplete",
        "chat-9",
        "service shop-assistant version 2.3 model gpt-5-mini",
        "2, late spans have corrected it",
        "rate 1 by sample.rate ; place 0.250000",
        "failed >= 0.7 0.400 scorers[0] 1 a1b2c3d4e5f60718 Two of five sentences.",
        "unsupported 3–17 paid in gold",
        "and 5 more",
        "filtered needs:tool_calls",
        "KeyError in pii.py:12",
        "no verdict unclear",
        "2.5 seconds",
    ):
        assert words in text.replace("\xa0", " "), words


def test_a_trace_names_the_change_that_it_is_an_example_of(incident: Service, ask: Ask) -> None:
    text = page(ask(incident, f"/traces/{trace_id(0)}")).text
    assert "Example of the change Pass rate of groundedness fell" in text
    assert "For comparison, from before" in page(ask(incident, f"/traces/{trace_id(200)}")).text


def test_a_trace_that_is_not_known_is_explained(idle: Service, ask: Ask) -> None:
    answer = ask(idle, f"/traces/{trace_id(1)}")
    assert answer.status_code == 404
    assert f"driftline why {trace_id(1)}" in page(answer).text


def test_the_search_field_leads_to_the_trace(idle: Service, ask: Ask) -> None:
    answer = ask(idle, "/traces", params={"trace_id": f"  {trace_id(1).upper()} "})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/traces/{trace_id(1)}")
    wrong = ask(idle, "/traces", params={"trace_id": "//evil.example/" + HOSTILE})
    assert wrong.status_code == 400
    assert "allowed: 32 hexadecimal digits" in page(wrong).text


def test_the_page_of_a_change_shows_carriers_and_traces(incident: Service, ask: Ask) -> None:
    text = page(ask(incident, "/changes/c0ffee00c0ffee00c0ff")).text.replace("\xa0", " ")
    for words in (
        "version 2.4 new 91% 86% 5% – 74.1% 52%",
        "model gpt-5-mini 7% 6% 1% 91.3% 80.3% 71%",
        "groundedness 0.566",
        "To compare with, from before",
        "Typical of what comes since",
        "version 2.4 new 0% 52%",
        "tool schema search 1f0c33ab gone 31% 0%",
        "answering model gpt-5-mini more 60% 71%",
        "The application itself moved",
        "evidence 41.2 of 12.4 needed",
    ):
        assert words in text, words
    add_changes(incident.view, change("babe", carriers=[], coincidences=[]), offset=3)
    assert "Nothing that Driftline sees" in page(ask(incident, "/changes/babe")).text
    ended = page(ask(incident, "/changes/feed0000feed0000feed")).text
    assert "resolved: recovered" in ended


def test_the_page_of_a_change_says_who_was_told_of_it(incident: Service, ask: Ask) -> None:
    path = "/changes/c0ffee00c0ffee00c0ff"
    assert "Who was told" not in ask(incident, path).text
    incident.told["c0ffee00c0ffee00c0ff"] = [
        Delivery("alertmanager", "firing", "delivered", "", "", NOW_NS, NOW_NS),
        Delivery("slack", "firing", "refused", "client_error", "answered 404: <b>no_service</b>", NOW_NS, NOW_NS),
        Delivery("email", "reminder", "held_back", "", "", NOW_NS, NOW_NS + 60 * MINUTE_NS, 7),
    ]
    seen = page(ask(incident, path))

    check_structure(seen)
    assert "alertmanager beginning delivered" in seen.text
    assert "slack beginning refused client error answered 404: <b>no_service</b>" in seen.text
    assert "email reminder held back by the rate limit" in seen.text
    assert seen.tags("b") == []


def test_examples_past_retention_remain_as_ids(idle: Service, ask: Ask) -> None:
    add_changes(idle.view, change())
    assert page(ask(idle, "/changes/c0ffee00c0ffee00c0ff")).text.count("no longer kept here") == 12


def test_lists_are_cut_and_say_so(idle: Service, ask: Ask) -> None:
    add_changes(idle.view, *(change(f"{number:020x}") for number in range(25)))
    add_changes(idle.view, *(change(f"over-{number}", status="resolved") for number in range(15)), offset=25)
    add_traces(idle.view, [record(number, [scored("pii", 0.0)]) for number in range(30)])
    text = page(ask(idle, "/")).text
    assert "25 active changes" in text
    assert "and 5 more" in text
    assert "all 15" in text
    assert text.count("all 1 fine") == 20


def hostile_service(idle: Service, words: str) -> None:
    decisions = [
        scored(words, 0.1, False, label=words, explanation=words, evidence=[Evidence(0, 3, words, words)]),
        not_scored("pii", "failed", words, detail=words),
    ]
    add_traces(idle.view, [record(1, decisions, name=words, session_id=words, dialects=[words], version=words)])
    add_changes(
        idle.view,
        change(
            slice={words: words},
            metric=words,
            monitor=words,
            traces=[trace_id(1), words],
            related=words,
            paged=False,
            coincidences=[Coincidence(words, words, "new", 0.0, 1.0, 2**62)],
            typical_traces=[words],
        ),
        change("second", reason=words, status="resolved", metric=words, slice={words: words}),
    )
    idle.scorers = (ScorerFacts(words, words, words, words, words),)
    idle.monitors, idle.addresses, idle.problems = (words,), {words: words}, [words]


PATHS = ("/", f"/traces/{trace_id(1)}", "/changes/c0ffee00c0ffee00c0ff", "/changes/second")


def test_no_words_of_a_trace_become_markup(idle: Service, ask: Ask) -> None:
    hostile_service(idle, HOSTILE)
    for path in PATHS:
        answer = ask(idle, path)
        assert answer.status_code == 200
        assert "alert(1)" in answer.text  # shown,
        seen = page(answer)
        check_structure(seen)
        assert seen.tags("img") == []  # but as words
        assert [script.get("src", "").split("?")[0] for script in seen.tags("script")] in ([], ["/static/refresh.js"])
        assert "\u202e" not in answer.text  # nor may they turn what follows around
        assert "\x00" not in answer.text
        assert "{{7*7}}" in answer.text


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_any_words_at_all_leave_the_page_whole(idle: Service, ask: Ask, words: str) -> None:
    idle.scorers = (ScorerFacts(words, words, words, words, words),)
    idle.monitors, idle.problems = (words,), [words]
    offset = getattr(test_any_words_at_all_leave_the_page_whole, "offset", 0)
    test_any_words_at_all_leave_the_page_whole.offset = offset + 1  # type: ignore[attr-defined]
    add_traces(idle.view, [record(1, [scored("a", 0.5, False, explanation=words, label=words)], name=words)], offset)
    for path in PATHS[:2]:
        answer = ask(idle, path)
        assert answer.status_code == 200
        check_structure(page(answer))


def test_a_link_never_leaves_its_place_whatever_the_id(idle: Service, ask: Ask) -> None:
    add_changes(idle.view, change(traces=['javascript:alert(1)//"', "../../etc"]))
    links = [link["href"] for link in page(ask(idle, "/")).tags("a")]
    assert "/traces/javascript%3Aalert%281%29%2F%2F%22" in links
    assert all(link is not None and link.startswith(("/", "#")) and not link.startswith("//") for link in links)


def test_long_words_are_cut(idle: Service, ask: Ask) -> None:
    add_traces(idle.view, [record(1, [scored("a", 0.5, explanation="x" * 50_000)], name="y" * 50_000)])
    text = ask(idle, f"/traces/{trace_id(1)}").text
    assert len(text) < 12_000
    assert "y" * 199 + "…" in text


def test_numbers_that_are_none_do_not_break_a_page(incident: Service, ask: Ask) -> None:
    for value in (float("nan"), float("inf"), -1.0):
        incident.watched[1].evidence = value
    incident.watched[2].threshold = 0.0
    assert ask(incident, "/").status_code == 200


def test_without_a_script_the_page_reloads_itself(idle: Service, ask: Ask) -> None:
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in ask(idle, "/").text


def test_the_status_of_a_series_as_drift_gives_it_can_be_shown(idle: Service, ask: Ask) -> None:
    level = Estimate(0.9, 0.85, 0.95, 100)
    told: list[tuple[str, Literal["mean", "pass_rate"], str]] = [
        ("groundedness", "mean", "0.900 0.850 to 0.950"),
        ("latency", "pass_rate", "pass rate all traffic 90.0%"),
    ]
    for metric, statistic, shown_as in told:
        status = SeriesStatus(
            monitor=metric,
            metric=metric,
            statistic=statistic,
            slice={},
            status="watching",
            points=400,
            level=level,
            detector="mean",
            evidence=1.0,
            threshold=10.0,
            change_id=None,
            clipped=0.0,
            inflation=1.0,
        )
        idle.watched = [status]  # type: ignore[list-item]
        assert shown_as in page(ask(idle, "/")).text
        assert ask(idle, "/api/series").json()["series"][0]["metric"] == metric


# --- versions that are compared ---


def test_a_rollout_shows_which_versions_are_compared_the_verdict_and_what_it_would_take(
    incident: Service, ask: Ask
) -> None:
    seen = page(ask(incident, "/"))
    check_structure(seen)
    assert "shop-assistant : version 2.4 against 2.3 fail" in seen.text
    assert "Worse by more than a margin. New since 2025-11-24 01:04:40 UTC" in seen.text
    assert "400 traces of it, 1,210 of the other." in seen.text
    (first, mean, share) = incident.compared[0].to_json()["metrics"]
    assert f"groundedness {first['level_b']:.1%} {first['level_a']:.1%} {first['difference'] * 100:+.1f}%" in seen.text
    assert f"grade mean {mean['level_b']:.3f} {mean['level_a']:.3f} {mean['difference']:+.3g}" in seen.text
    assert "-0.2 400 pass latency" in seen.text
    assert f"latency within <= 2.5 {share['level_b']:.1%}" in seen.text
    assert f"-2.0% 400 undecided some {share['more_pairs']:,} more such pairs" in seen.text


def test_a_rollout_that_has_nothing_to_compare_yet_says_so(idle: Service, ask: Ask) -> None:
    idle.compared = [rollout(pairs=0)]
    seen = page(ask(idle, "/"))
    check_structure(seen)
    assert "Not to be told yet." in seen.text
    assert "– – – -3.0% 0 undecided nothing to compare yet" in seen.text


def test_without_a_rollout_there_is_no_section_for_it(idle: Service, ask: Ask) -> None:
    assert "Rollouts" not in page(ask(idle, "/")).text


def test_many_rollouts_are_shown_in_part_and_what_versions_are_called_cannot_act(idle: Service, ask: Ask) -> None:
    idle.compared = [rollout(HOSTILE, HOSTILE, 2)] * 25
    answer = ask(idle, "/")
    check_structure(page(answer))
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert "and 5 more" in page(answer).text
