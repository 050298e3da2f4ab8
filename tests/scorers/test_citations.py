import pytest

from collector.core.model import Document, Retrieval, Trace
from scorers.base import Score
from scorers.builtin.citations import citations

DAM = "The Hoover Dam stands on the Colorado River and is 221 metres high."
SPOCK = "Leonard Nimoy played Mr. Spock in the series Star Trek."
CLAIM = "The Hoover Dam stands on the Colorado River"


def judge(answer: str, ids: tuple[str, str] | None = None) -> Score | None:
    trace = Trace("t", answer=answer, contexts=[DAM, SPOCK])
    if ids:
        trace.retrievals = [Retrieval("s", documents=[Document(DAM, ids[0]), Document(SPOCK, ids[1])])]
    found = citations(trace)
    assert found is None or isinstance(found, Score)
    return found


def faults(answer: str, ids: tuple[str, str] | None = None) -> list[tuple[str, str]]:
    found = judge(answer, ids)
    assert found is not None
    return [(answer[item.start : item.end], item.type) for item in found.evidence]


@pytest.mark.parametrize(
    "answer",
    [
        f"{CLAIM} [1].",
        f"{CLAIM}.[1]",
        f"{CLAIM}. [1] Nimoy played Spock. [2]",
        f"{CLAIM}.[1] Nimoy played Spock.[2]",
        f"{CLAIM} (doc-1). Nimoy played Spock (source 2).",
        f"{CLAIM} 【1】. Nimoy played Spock [^2].",
        f"{CLAIM}.¹ Nimoy played Spock.²",
        "According to [1], the Hoover Dam is 221 metres high.",
        "Nimoy played Spock and the Hoover Dam is 221 metres high [1, 2].",
        "Nimoy played Spock and the Hoover Dam is 221 metres high [1][2].",
    ],
)
def test_citations_of_documents_that_say_so_hold(answer: str) -> None:
    found = judge(answer)
    assert found is not None
    assert found.value == 1.0
    assert not found.evidence


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"{CLAIM} [2].", [("[2]", "unsupported")]),
        (f"{CLAIM} [7].", [("[7]", "dangling")]),
        (f"{CLAIM}.[1] Nimoy played Spock.[1]", [("[1]", "unsupported")]),
        (f"{CLAIM}. [2] Nimoy played Spock. [2]", [("[2]", "unsupported")]),
        (f"{CLAIM}.² Nimoy played Spock.²", [("²", "unsupported")]),
    ],
)
def test_the_marker_that_does_not_hold_is_the_evidence(answer: str, expected: list[tuple[str, str]]) -> None:
    assert faults(answer) == expected


def test_ids_of_retrieved_documents_are_citations_too() -> None:
    ids = ("kb/dam.md", "kb/trek.md")
    assert faults(f"{CLAIM} [kb/dam.md].", ids) == []
    assert faults(f"{CLAIM} (kb/trek.md).", ids) == [("(kb/trek.md)", "unsupported")]


@pytest.mark.parametrize(
    "answer",
    [
        CLAIM,
        "It cost 3 dollars (1936) and more (see above) [sic].",
        "Look [1](https://example.com/a) here.",
        "Sources:\n[1] The dam\n[2] The series",
        "The area is 5 m².",
    ],
)
def test_other_brackets_are_no_citations(answer: str) -> None:
    assert judge(answer) is None


def test_the_explanation_counts_without_words_of_the_answer() -> None:
    found = judge(f"{CLAIM} [1]. Elephants are grey [2]. Napoleon [9].")
    assert found is not None
    assert found.value == pytest.approx(1 / 3, abs=1e-4)
    assert found.explanation == ("1 of 3 citations hold; 1 cite what is not there, 1 what does not support them")
