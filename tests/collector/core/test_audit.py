"""A line of the audit log is one line, whatever is in it, and never fails what it tells of."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core import audit

FACTS = st.dictionaries(
    st.sampled_from(["user", "path", "address"]), st.one_of(st.text(max_size=2000), st.lists(st.text(), max_size=200))
)
SURROGATES = st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Lu"]))


class Lines(logging.Handler):
    """Keeps what was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def line(**facts: str | list[str]) -> str:
    handler = Lines()
    audit.AUDIT.addHandler(handler)
    level = audit.AUDIT.level
    audit.AUDIT.setLevel(logging.INFO)
    try:
        audit.record("tried", **facts)
    finally:
        audit.AUDIT.removeHandler(handler)
        audit.AUDIT.setLevel(level)
    (told,) = handler.told
    return told


@given(FACTS)
def test_any_text_stays_within_one_line_of_bounded_length(facts: dict[str, str | list[str]]) -> None:
    told = line(**facts)
    assert told.isprintable(), "no reader takes it for more than one line"
    found = json.loads(told)
    assert found["action"] == "tried"
    assert found.keys() == {"at", "action", *facts}
    for value in found.values():
        assert len(value) <= (500 if isinstance(value, str) else 100)


@given(SURROGATES)
def test_what_is_no_unicode_text_is_spelled_out(path: str) -> None:
    told = json.loads(line(path=path))["path"]
    assert told == "".join(one if one.isprintable() else ascii(one)[1:-1] for one in path)[:500]


@pytest.mark.parametrize("forged", ['\n{"action":"forged"}', "\u2028x", "\x85x", "\x1b[2K\rx", "\u202edesrever"])
def test_a_forged_line_is_part_of_its_own(forged: str) -> None:
    told = line(address=forged)
    assert len(told.splitlines()) == 1
    assert json.loads(told)["action"] == "tried"
