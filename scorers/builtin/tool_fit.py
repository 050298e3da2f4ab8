"""Is there a tool for what was asked? A few measures of common words and of missing values, weighed by a file."""

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import orjson

from collector.core.model import JSON, Trace
from scorers.base import Score, scorer
from scorers.text import Text, read, stem

_MOST_TOOLS = 200
_MOST_PARAMETERS = 50  # of a tool
_QUESTION_CHARACTERS = 2_000
_TOOL_CHARACTERS = 2_000
_MOST_TERMS = 200
_GENERAL_WEIGHT = 0.25
_GENERAL_LIST = """
    get set find calculate compute retrieve fetch return function specified specific given provide value number list
    data information info type based name tell know need want help show make parameter object string detail details
    create use user using query search determine perform execute request result various including include optional
    default unit format like give much many two one estimate check
"""
_GENERAL = frozenset(map(stem, _GENERAL_LIST.split()))
"""What descriptions of tools are full of; it tells little of what one tool is for."""

_HUMP = re.compile(r"([a-z0-9])([A-Z])")
_ASKS = frozenset({"what", "who", "why", "when", "where", "which", "how", "what's", "who's", "where's", "how's"})
_VALUES = re.compile(r"(?<=[\w,'] )[A-Z]\w+|'[^']{1,200}'|\"[^\"]{1,200}\"|[\w.]{1,64}@[\w.]+|https?:\S+")
_VALUES_BUT_ADDRESSES = re.compile(_VALUES.pattern.replace(r"|[\w.]{1,64}@[\w.]+", ""))  # is tried at every letter
_LEFT_OPEN = re.compile(r"default|optional", re.IGNORECASE)
_NUMERIC = re.compile(r"\b(?:number|amount|integer|length|radius|value|rate|size|height|weight|numeric)")
_MOST_VALUES = 3
_ADDRESS = re.compile(r"(?:^|[^a-z])ur[il]s?(?:$|[^a-z-])", re.IGNORECASE)
_ADDRESS_CHARACTERS = 60  # of a parameter's description, where it says what the parameter is
_GIVEN_ADDRESS = re.compile(r"https?:|www\.|\w\.[a-z]{2,6}(?:/|\b)")

FEATURES = ("described", "taken_up", "shared", "named", "asks", "no_number", "values_lacking", "no_address")
"""Of `measure`, in its order: share of the tool's words that the question has; share of the question's that the tool
has; how much that is; share of the words of its name; whether a question word comes first; the tool takes numbers and
there is none; how many required values the question cannot hold; every tool must be given a web address and there is
none."""


@scorer(
    name="tool_fit",
    needs=("question", "tool_definitions"),
    range=(0, 1),
    passing=">= 0.2",
    version="2",
    files=("tool_fit.json",),
)
def tool_fit(trace: Trace) -> Score | None:
    """How likely one of the offered tools fits the question, by the words they share and the values it gives.

    Wrong on: tools that are named or described in other words than the question; a question about the matter of a tool
    that it cannot answer; requests in another language than the tools; a follow-up whose matter was named before.
    """
    tools = _distinct(tool for call in trace.llm_calls for tool in call.tool_definitions)
    found = measure(trace.question or "", tools)
    if found is None:
        return None
    weights, intercept = _model()
    total = intercept + sum(weight * value for weight, value in zip(weights, found, strict=True))
    fits = 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
    return Score(round(fits, 6), explanation=f"the nearest of {len(tools)}: {_told(found)}")


def measure(question: str, tools: Sequence[dict[str, JSON]]) -> tuple[float, ...] | None:
    """The features of the question and the tool that is nearest to it by words; None if it has none."""
    text = read(question[:_QUESTION_CHARACTERS])
    asked = _asked(text)
    readings = [_tool(_canonical(tool)) for tool in tools]
    if not readings or not asked:
        return None
    described, named, tool = max(((*_common(one, asked), one) for one in readings), key=lambda one: one[0] + one[1])
    return (
        described,
        _share(asked, tool.everything),
        math.log1p(_mass(asked, tool.described)),
        named,
        float(bool(text.words) and text.words[0] in _ASKS),
        float(tool.numeric and not text.numbers),
        float(_lacking(text, min([one.required for one in readings]))),
        float(all(one.addressed for one in readings) and _GIVEN_ADDRESS.search(text.text) is None),
    )


def _lacking(text: Text, required: int) -> int:
    """How many of so many required values the question has too few."""
    lacking = max(0, required - min(_MOST_VALUES, len(text.numbers)))
    if not lacking:
        return 0
    values = _VALUES if "@" in text.text else _VALUES_BUT_ADDRESSES
    return max(0, lacking - sum(1 for _ in values.finditer(text.text)))


def nearness(question: str, tool: dict[str, JSON]) -> float:
    """How much of the tool's description and name the question has, 0 to 2."""
    return sum(_common(_tool(_canonical(tool)), _asked(read(question[:_QUESTION_CHARACTERS]))))


def _asked(text: Text) -> frozenset[str]:
    return _first(text.terms)


class _Tool:
    """A tool's declaration as terms."""

    def __init__(self, declaration: dict[str, JSON]) -> None:
        name, description = str(declaration.get("name", "")), str(declaration.get("description", ""))
        parameters, required = _parameters(declaration.get("parameters"))
        told = " ".join(parameters.values())
        self.name = _terms(name)
        self.described = self.name | _terms(description)
        self.everything = self.described | _terms(" ".join(parameters)) | _terms(told)
        self.required = len(required)
        self.addressed = any(_is_address(name, parameters[name]) for name in required if name in parameters)
        self.numeric = _NUMERIC.search(told.lower()) is not None


def _common(tool: _Tool, asked: frozenset[str]) -> tuple[float, float]:
    return _share(tool.described, asked), _share(tool.name, asked)


def _is_address(name: str, told: str) -> bool:
    """Whether a parameter is a web address, by its name or by how its description begins."""
    return _ADDRESS.search(name) is not None or _ADDRESS.search(told, 0, _ADDRESS_CHARACTERS) is not None


def _parameters(schema: JSON) -> tuple[dict[str, str], list[str]]:
    """What each parameter is for, and which must be given. Without `required`, those that speak of no default."""
    if not isinstance(schema, dict):
        return {}, []
    properties = schema.get("properties", schema)
    if not isinstance(properties, dict):
        return {}, []
    told = {name: _description(declared) for name, declared in islice(properties.items(), _MOST_PARAMETERS)}
    required = schema.get("required")
    if isinstance(required, list):
        return told, [str(name) for name in required]
    return told, [name for name, text in told.items() if _LEFT_OPEN.search(text) is None]


def _description(declared: JSON) -> str:
    if isinstance(declared, dict):
        kind, text = declared.get("type"), declared.get("description")
        numeric = "number " if kind in ("integer", "number", "float", "int") else ""
        return (numeric + str(text or ""))[:_TOOL_CHARACTERS]
    return str(declared)[:_TOOL_CHARACTERS] if isinstance(declared, str) else ""


def _distinct(tools: Iterable[dict[str, JSON]]) -> list[dict[str, JSON]]:
    return list(islice({str(tool.get("name")): tool for tool in tools}.values(), _MOST_TOOLS))


def _canonical(tool: dict[str, JSON]) -> bytes:
    try:
        return orjson.dumps(tool)
    except (TypeError, ValueError, RecursionError):
        return b"{}"


@lru_cache(maxsize=512)
def _tool(declaration: bytes) -> _Tool:
    return _Tool(orjson.loads(declaration))


@lru_cache(maxsize=1)
def _model() -> tuple[tuple[float, ...], float]:
    told = orjson.loads((Path(__file__).parent / "tool_fit.json").read_bytes())
    return tuple(float(told["weights"][name]) for name in FEATURES), float(told["intercept"])


def _terms(text: str) -> frozenset[str]:
    plain = _HUMP.sub(r"\1 \2", text[:_TOOL_CHARACTERS].replace("_", " ").replace(".", " . "))
    return _first(read(plain).terms)


def _first(terms: frozenset[str]) -> frozenset[str]:
    """Those that count, and of too many the first of the alphabet."""
    counting = [term for term in terms if _counts(term)]
    return frozenset(counting if len(counting) <= _MOST_TERMS else sorted(counting)[:_MOST_TERMS])


def _counts(term: str) -> bool:
    return len(term) > 1 and not term[0].isdigit()


def _share(of: frozenset[str], among: frozenset[str]) -> float:
    """The share of the terms `of` that are `among`, near forms in part, general ones at a quarter."""
    total = sum(map(_weight, of))
    return _mass(of, among) / total if total else 0.0


def _mass(of: frozenset[str], among: frozenset[str]) -> float:
    found = {term: _weight(term) for term in of & among}
    others = of - among
    wanted = {term[:4] for term in others}
    beginnings: dict[str, list[str]] = {}
    for term in among:
        if (beginning := term[:4]) in wanted:
            beginnings.setdefault(beginning, []).append(term)
    if beginnings:
        for term in others:
            near = [_near(term, other) for other in beginnings.get(term[:4], ())]
            if near:
                found[term] = _weight(term) * max(near)
    mass = 0.0
    for term in sorted(found):  # a sum of floats depends on its order
        mass += found[term]
    return mass


def _weight(term: str) -> float:
    return _GENERAL_WEIGHT if term in _GENERAL else 1.0


def _near(one: str, other: str) -> float:
    """How far two terms that begin with the same four letters are forms of one word.

    >>> _near("calculation", "calculator"), _near("price", "pricing"), _near("park", "part")
    (0.8, 0.8, 0.0)
    """
    shortest = min(len(one), len(other))
    if shortest < 4:
        return 0.0
    same = next((at for at in range(shortest) if one[at] != other[at]), shortest)
    if same >= 4 and same >= 0.6 * shortest:
        return 0.8
    return 0.6 if same >= 5 else 0.0


def _told(found: Sequence[float]) -> str:
    described, taken_up, _, _, _, _, lacking, no_address = found
    missing = f", and {lacking:.0f} required values are not given" if lacking else ""
    missing += ", nor is a web address" if no_address else ""
    return f"the question has {described:.0%} of its words and it has {taken_up:.0%} of the question's{missing}"
