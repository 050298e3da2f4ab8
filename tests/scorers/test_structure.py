import pytest

from collector.core.model import JSON, Failure, LLMCall, RequestedCall, Trace
from scorers.base import Score
from scorers.builtin.structure import parse_json, schema_conformance
from scorers.schemas import BadSchema, plain_types, validator

SCHEMA = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}


def judge(output: str | None, schema: JSON = SCHEMA, **fields: object) -> Score | None:
    found = schema_conformance(Trace("t", llm_calls=[LLMCall("a", output_text=output, output_schema=schema, **fields)]))  # type: ignore[arg-type]
    assert found is None or isinstance(found, Score)
    return found


@pytest.mark.parametrize(
    ("output", "schema", "label"),
    [
        ('{"total": 3}', SCHEMA, "conforms"),
        (' {"total": 3, "more": []}\n', SCHEMA, "conforms"),
        ('{"total": 9007199254740993000000}', SCHEMA, "conforms"),
        ('{"total": "3"}', SCHEMA, "does_not_conform"),
        ("{}", SCHEMA, "does_not_conform"),
        ('{"total": 3', SCHEMA, "not_json"),
        ("", SCHEMA, "not_json"),
        ("NaN", {}, "not_json"),
        ('```json\n{"total": 3}\n```', SCHEMA, "not_json"),
        ("[" * 100_000, SCHEMA, "not_json"),
        ("{}", True, "conforms"),
        ("[]", True, "not_an_object"),
        ('"\\ud800"', {"type": "string"}, "not_json"),
    ],
)
def test_verdicts(output: str, schema: JSON, label: str) -> None:
    score = judge(output, schema)
    assert score is not None
    assert (score.label, score.value) == (label, float(label == "conforms"))


def test_the_explanation_names_the_schema_and_not_the_content() -> None:
    score = judge('{"total": "my secret"}')
    assert score is not None
    assert score.explanation == "fails at /properties/total/type of the schema"


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "http://127.0.0.1:1/schema.json"}, {"pattern": "("}, []]
)
def test_a_broken_schema_is_no_fault_of_the_output(schema: JSON) -> None:
    assert judge('"text"', schema) is None


def test_a_turn_that_asks_for_tools_owes_no_json() -> None:
    assert judge(None, tool_calls=[RequestedCall("look")]) is None


def test_a_failed_call_owes_no_json() -> None:
    assert judge("{", error=Failure("RateLimit")) is None


def test_known_to_be_wrong_formats_are_not_enforced() -> None:
    score = judge('"soon"', {"type": "string", "format": "date"})
    assert score is not None
    assert score.value == 1.0


def test_a_hostile_pattern_ends() -> None:
    assert validator({"pattern": "^(a+)+$"}).first_error("a" * 5_000 + "!") is not None


def test_type_names_of_other_languages_are_understood_but_values_are_left_alone() -> None:
    given = {
        "type": "dict",
        "properties": {"a": {"type": "tuple", "items": {"type": "any"}, "enum": [{"type": "float"}]}},
    }
    plain = {"type": "object", "properties": {"a": {"type": "array", "items": {}, "enum": [{"type": "float"}]}}}
    assert plain_types(given) == plain


def test_a_schema_without_end_is_refused() -> None:
    deep: dict[str, JSON] = {}
    for _ in range(100):
        deep = {"not": deep}
    with pytest.raises(BadSchema):
        plain_types(deep)


@pytest.mark.parametrize("number", ["1" * 18, "1" * 19, "1" * 60, "-" + "9" * 30])
def test_integers_of_any_size_stay_integers(number: str) -> None:
    assert parse_json(number) == int(number)


@pytest.mark.parametrize("number", ["1" * 5_000, "[" + "9" * 10_000 + "]"])
def test_an_absurd_integer_is_not_read(number: str) -> None:
    with pytest.raises(ValueError):
        parse_json(number)
