"""What leaves an evaluation, place by place; and log lines."""

import io
import logging

from collector.core.model import LLMCall, Trace
from collector.redaction.attributes import AttributeLists
from collector.redaction.redactor import Redactor
from driftline.logs import RedactingFormatter, redact_logs
from driftline.outputs import Outputs
from scorers.base import Evidence, Score
from scorers.ledger import Decision

PATHS = {"service": "resource.service.name", "tenant": "resource.tenant", "version": "resource.service.version"}


def outputs(allow: tuple[str, ...] = ("*.version",), deny: tuple[str, ...] = ()) -> Outputs:
    return Outputs(Redactor(), AttributeLists(allow, deny), PATHS)


def a_decision(score: Score | None, detail: str = "") -> Decision:
    return Decision("s", "e", "scored", "ok", 1.0, "sample.rate", score, score.span_id if score else None, detail)


def test_a_trace_and_what_was_decided_on_it() -> None:
    shared = {"service.name": "shop of jo@example.org", "tenant": "acme"}
    trace = Trace("t" * 32, name="for jo@example.org", session_id="jo@example.org", resource=shared)
    trace.llm_calls = [LLMCall("s1", response_id="of jo@example.org")]
    evidence = (Evidence(1, 2, "claim", "jo@example.org"), Evidence(3, 4, "jo@example.org"), Evidence(5, 6, "plain"))
    score = Score(0.0, False, "jo@example.org", "said jo@example.org", evidence, "of jo@example.org")
    decisions = [
        a_decision(score),
        a_decision(Score(1.0, span_id="00f067aa0ba902b7")),
        a_decision(None, "at jo@example.org"),
    ]
    slices = {"service": "shop of jo@example.org", "tenant": "acme", "version": "10.2.3.4", "other": "unknown"}
    redacts = outputs()
    told = redacts.clean(trace, slices, decisions)
    redacts.clean_ids(trace)
    assert told == {"service": "shop of [EMAIL]", "tenant": "acme", "version": "10.2.3.4", "other": "unknown"}
    assert (trace.name, trace.session_id, trace.service) == ("for [EMAIL]", "[EMAIL]", "shop of [EMAIL]")
    assert trace.llm_calls[0].response_id == "of [EMAIL]"
    assert shared["service.name"] == "shop of jo@example.org"  # it belongs to other traces too
    assert (score.label, score.explanation, decisions[0].span_id) == ("[EMAIL]", "said [EMAIL]", "of [EMAIL]")
    assert [(item.type, item.text) for item in score.evidence] == [("claim", "[EMAIL]"), ("[EMAIL]", ""), ("plain", "")]
    assert decisions[1].span_id == "00f067aa0ba902b7"
    assert decisions[2].detail == "at [EMAIL]"


def test_slices_by_name_or_path_may_be_allowed_or_denied() -> None:
    slices = {"service": "jo@example.org", "tenant": "acme"}
    assert outputs(("slices.service",), ("resource.tenant",)).clean(Trace("t"), slices, []) == {
        "service": "jo@example.org",
        "tenant": "[DENIED]",
    }
    dropping = Outputs(Redactor(actions={"denied": "drop"}), AttributeLists((), ("slices.tenant",)), PATHS)
    assert dropping.clean(Trace("t"), {"tenant": "acme"}, []) == {"tenant": "unknown"}


def test_what_made_a_trace_is_redacted_or_denied_value_by_value() -> None:
    made_by = (("tool", "mail jo@example.org"), ("tool", "search"), ("version", "10.2.3.4"))
    redacts = outputs()  # allows versions
    for _ in range(2):  # the second time from memory
        assert redacts.provenance(made_by) == "tool mail [EMAIL]\ntool search\nversion 10.2.3.4"
    assert outputs((), ("provenance.tool",)).provenance(made_by[:2]) == ""
    assert outputs((), ("resource.service.*",)).provenance((("version", "2"), ("model", "m"))) == "model m"
    assert redacts.provenance(()) == ""


def test_log_lines_with_their_tracebacks() -> None:
    handler = logging.StreamHandler()
    for _ in range(2):
        redact_logs(Redactor(), [handler])
    try:
        raise ValueError("no jo@example.org")
    except ValueError as error:
        record = logging.LogRecord("a", 40, "", 1, "for %s", ("ab@example.org",), (type(error), error, None))
    line = handler.format(record)
    assert line.startswith("for [EMAIL]\n")
    assert line.endswith("ValueError: no [EMAIL]")
    assert isinstance(handler.formatter, RedactingFormatter)
    assert not isinstance(handler.formatter._inner, RedactingFormatter)


def test_what_an_exception_says_forges_no_entry_of_the_log_and_steers_no_terminal() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    redact_logs(Redactor(), [handler])
    hostile = "x\n2026-01-01 00:00:00,000 INFO driftline.audit {}\r\x1b[2J\u2028\x85end"
    try:
        raise ValueError(hostile)
    except ValueError:
        logger.exception("failed: %s", hostile)
    logger.warning("next")
    lines = stream.getvalue().splitlines()
    beginnings = [line for line in lines if not line.startswith("    ")]
    assert [line.split(" ")[2] for line in beginnings] == ["ERROR", "WARNING"]
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[2J\\u2028\\x85end" in stream.getvalue()
