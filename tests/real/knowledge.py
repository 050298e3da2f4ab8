"""What the shop assistant is asked and answers, by a seed: grounded answers, made-up ones, refusals, tool calls."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

_TOPICS = (
    ("returns", "return a {item}", "A {item} can be returned within {days} days of delivery."),
    ("warranty", "get a {item} repaired", "The warranty of a {item} covers repairs for {months} months."),
    (
        "shipping",
        "have a {item} delivered",
        "Standard delivery of a {item} takes {days} working days and costs {price} euros.",
    ),
    ("care", "clean a {item}", "A {item} may be washed at {degrees} degrees and should be dried in the shade."),
)
_ITEMS = (
    "tent",
    "rain jacket",
    "sleeping bag",
    "camping stove",
    "headlamp",
    "backpack",
    "trekking pole",
    "water filter",
)
_MADE_UP = (
    "Members of the Platinum Club receive a free replacement from our Zurich workshop every {number} weeks.",
    "Since the 2019 merger with Alpine Corp. the fee is {number} dollars, payable in advance.",
)
_REFUSAL = "I'm sorry, but I can't help with that request."

_TOOL_SHARE = 1 / 3
_TOOL_ERROR_SHARE = 0.1
_REFUSAL_SHARE = {"v1": 0.02, "v2": 0.25}
_MADE_UP_SHARE = {"v1": 0.05, "v2": 0.60}


@dataclass(frozen=True)
class Document:
    id: str
    text: str
    score: float


@dataclass(frozen=True)
class Answer:
    """`grounded`: the passages say all of it. A refusal says nothing, so it is grounded."""

    text: str
    grounded: bool = True
    refused: bool = False


@dataclass(frozen=True)
class ToolRun:
    name: str
    arguments: dict[str, str]
    result: str
    error: str | None = None


@dataclass(frozen=True)
class Ask:
    """One question with everything that follows from it."""

    question: str
    documents: tuple[Document, ...]
    answer: Answer
    tool: ToolRun | None
    prompt_version: str
    conversation_id: str
    user_id: str
    slowness_ms: int


def asks(seed: int, count: int, regress_after: int | None = None) -> Iterator[Ask]:
    """`count` questions; from number `regress_after` (counted from 0) on with prompt v2, the one that went wrong.

    The questions are the same with and without a regression; only the answers differ.
    """
    for number in range(count):
        version = "v1" if regress_after is None or number < regress_after else "v2"
        yield _ask(random.Random(f"{seed}/{number}"), version)


def _ask(draw: random.Random, version: str) -> Ask:
    topic, wish, fact = draw.choice(_TOPICS)
    item = draw.choice(_ITEMS)
    numbers = {
        "days": draw.randint(2, 60),
        "months": draw.randint(6, 48),
        "price": draw.randint(3, 20),
        "degrees": draw.choice((30, 40, 60)),
    }
    says = fact.format(item=item, **numbers)
    documents = (Document(f"{topic}-{item.replace(' ', '-')}", says, 0.91), *_distractors(draw, item))
    tool = _tool(draw) if draw.random() < _TOOL_SHARE else None
    return Ask(
        question=f"How can I {wish.format(item=item)}?",
        documents=documents,
        answer=_answer(draw, says, version),
        tool=tool,
        prompt_version=version,
        conversation_id=f"conversation-{draw.randrange(10**9):09d}",
        user_id=f"user-{draw.randrange(500):03d}",
        slowness_ms=min(20_000, int(draw.lognormvariate(6.0, 0.5))),
    )


def _distractors(draw: random.Random, item: str) -> tuple[Document, ...]:
    others = [other for other in _ITEMS if other != item]
    return tuple(
        Document(f"about-{other.replace(' ', '-')}", f"The {other} comes in {draw.randint(2, 9)} colours.", 0.4)
        for other in draw.sample(others, 2)
    )


def _answer(draw: random.Random, says: str, version: str) -> Answer:
    refuses, makes_up = draw.random() < _REFUSAL_SHARE[version], draw.random() < _MADE_UP_SHARE[version]
    if refuses:
        return Answer(_REFUSAL, refused=True)
    if makes_up:
        return Answer(draw.choice(_MADE_UP).format(number=draw.randint(61, 99)), grounded=False)
    return Answer(says)


def _tool(draw: random.Random) -> ToolRun:
    order = f"NW-{draw.randrange(10**5):05d}"
    error = "the order system did not answer in time" if draw.random() < _TOOL_ERROR_SHARE else None
    return ToolRun("lookup_order", {"order_id": order}, f'{{"order_id": "{order}", "state": "shipped"}}', error)
