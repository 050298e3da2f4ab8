"""Text of others on a terminal or in a log: nothing steers, nothing passes for a line of ours."""

from hypothesis import given
from hypothesis import strategies as st

from collector.core.printable import entry, printable


@given(st.text())
def test_nothing_is_left_that_is_not_printable_and_what_is_stays(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.text(st.sampled_from("ab \t\n\r\x1b\x85\u2028\u202e\ud800")))
def test_only_the_first_line_of_an_entry_begins_at_the_left(text: str) -> None:
    _, *rest = entry(text).splitlines() or [""]
    assert all(line.startswith("    ") for line in rest)
    assert all(one.isprintable() or one in "\n\t" for one in entry(text))
    assert len(rest) <= text.count("\n")
