"""Answers for the demo's retrieval traces: some that their documents support, some that they do not, and refusals.

They stand in texts.json, written for the demo, by subject. The unsupported sentences sound plausible and name numbers
and people that no document holds, which is what a groundedness scorer is for; none of it is advice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import orjson


@dataclass(frozen=True, slots=True)
class Subject:
    """What one set of documents can be answered with.

    `grounded` are whole answers, each sentence of them backed by the documents. `invented` are single sentences.
    """

    grounded: tuple[str, ...]
    invented: tuple[str, ...]
    refusals: tuple[str, ...]


@cache
def subjects() -> Mapping[str, Subject]:
    """All subjects, by a word in the names of the recordings that are about them."""
    document = orjson.loads(files("driftline.demo").joinpath("texts.json").read_bytes())
    return {
        word: Subject(**{name: tuple(texts) for name, texts in fields.items()}) for word, fields in document.items()
    }


def subject_of(recording_name: str) -> Subject | None:
    """What the documents of a retrieval recording are about; None for a recording of another kind.

    >>> subject_of("rag_travel_stream") is subjects()["travel"], subject_of("chat_support")
    (True, None)
    """
    if not recording_name.startswith("rag_"):
        return None
    return next(subject for word, subject in subjects().items() if word in recording_name)
