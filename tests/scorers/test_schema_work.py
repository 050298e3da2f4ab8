"""How much work a schema asks for is counted before it is done, whatever it refers to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.model import JSON, LLMCall, Trace
from scorers.builtin.structure import schema_conformance
from scorers.schema_work import MOST_CHECKS, SchemaWork, TooMuchWork, _count
from scorers.schemas import BadSchema, validator


def doubling(levels: int, refer: str = "#/$defs/d{}") -> dict[str, JSON]:
    """Each part asks for the next one twice."""
    defs: dict[str, JSON] = {
        f"d{at}": {"$anchor": f"d{at}", "allOf": [{"$ref": refer.format(at + 1)}, {"$ref": refer.format(at + 1)}]}
        for at in range(levels)
    }
    return {"$defs": {**defs, f"d{levels}": {"$anchor": f"d{levels}", "type": "integer"}}, "$ref": refer.format(0)}


TWICE: dict[str, JSON] = {"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
TREE: dict[str, JSON] = {
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "number"},
                {
                    "type": "object",
                    "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}},
                    "required": ["left", "right"],
                },
            ]
        }
    },
    "$ref": "#/$defs/node",
}


def nested(depth: int, value: JSON = 1) -> JSON:
    for _ in range(depth):
        value = {"a": value}
    return value


def tree(depth: int) -> JSON:
    return 1 if depth == 0 else {"left": tree(depth - 1), "right": tree(depth - 1)}


@pytest.mark.parametrize("refer", ["#/$defs/d{}", "#d{}"])
@pytest.mark.parametrize("levels", [30, 60, 150])
def test_parts_that_ask_for_others_twice_are_counted_and_left(refer: str, levels: int) -> None:
    with pytest.raises(TooMuchWork):
        SchemaWork(doubling(levels, refer)).check(1)
    with pytest.raises(BadSchema, match="more work"):
        validator(doubling(levels, refer)).first_error(1)
    trace = Trace("t", llm_calls=[LLMCall("1" * 16, output_text="1", output_schema=doubling(levels, refer))])
    assert schema_conformance(trace) is None


@pytest.mark.parametrize("refer", ["#/$defs/d{}", "#d{}"])
def test_what_is_asked_for_a_few_times_is_judged(refer: str) -> None:
    checked = validator(doubling(10, refer))
    assert checked.first_error(1) is None
    assert checked.first_error("x") is not None


def test_a_schema_of_itself_goes_by_the_value() -> None:
    checked = validator(TWICE)
    assert checked.first_error(nested(12)) is None
    for depth in (30, 200):
        with pytest.raises(BadSchema, match="more work"):
            checked.first_error(nested(depth))


def test_a_tree_of_two_branches_is_judged_however_deep() -> None:
    checked = validator(TREE)
    assert checked.first_error(tree(10)) is None
    assert checked.first_error({"left": tree(9), "right": {"left": 1, "right": "x"}}) is not None


def test_a_part_that_is_a_part_of_itself_at_once_has_no_end() -> None:
    with pytest.raises(TooMuchWork):
        SchemaWork({"allOf": [{"$ref": "#"}]}).check(1)


def test_of_many_errors_only_the_first_is_made() -> None:
    schema: JSON = {"items": {"allOf": [{"type": "string"}] * 1_000}}
    error = validator(schema).first_error([1] * 1_000)  # all of them are a million, 1.5 GB and half a minute
    assert list(error.schema_path) == ["items", "allOf", 0, "type"]


def test_many_parts_times_many_items_are_left() -> None:
    schema: JSON = {"items": {"allOf": [{"type": "integer"}] * 10_000}}
    SchemaWork(schema).check([1] * 1_000)
    with pytest.raises(TooMuchWork):
        SchemaWork(schema).check([1] * 10_000)


@pytest.mark.parametrize(
    "reference", ["#/nowhere", "#/$defs/d/9", "https://else.where/schema", "#name", "#/%zz", "#/~9"]
)
def test_what_refers_to_nothing_here_cannot_be_told(reference: str) -> None:
    with pytest.raises(TooMuchWork):
        SchemaWork({"$ref": reference, "$defs": {"d": []}}).check(1)


KEYS = ("a", "b", "property", "item")
VALUES = st.recursive(
    st.none() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
APPLIED = ("not", "additionalProperties", "contains", "items")
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.just({"type": "integer"}) | st.just({"$ref": "#/$defs/x"}) | st.just(True),
    lambda inner: (
        st.dictionaries(st.sampled_from(("not", "additionalProperties", "contains", "items")), inner, max_size=2)
        | st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"prefixItems": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)})
    ),
    max_leaves=10,
)


def walked(root: Any, node: Any, value: JSON) -> int:
    """The same count, with nothing remembered."""
    if not isinstance(node, dict):
        return 1
    inner = value.values() if isinstance(value, dict) else ()
    items = value if isinstance(value, list) else ()
    found = 1
    for key, part in node.items():
        if key == "$ref":
            found += walked(root, root["$defs"]["x"], value)
        elif key == "not":
            found += walked(root, part, value)
        elif key == "allOf":
            found += sum(walked(root, one, value) for one in part)
        elif key == "additionalProperties":
            found += sum(walked(root, part, one) for one in inner)
        elif key in ("contains", "items"):
            found += sum(walked(root, part, one) for one in items)
        elif key == "prefixItems":
            found += sum(walked(root, one, item) for one, item in zip(part, items, strict=False))
        elif key == "properties" and isinstance(value, dict):
            found += sum(walked(root, one, value[name]) for name, one in part.items() if name in value)
    return found


@given(SCHEMAS, VALUES)
def test_the_count_is_that_of_a_walk_and_the_size_bounds_it(schema: Any, value: JSON) -> None:
    root = {"$defs": {"x": {"type": ["integer", "array"], "items": {"type": "integer"}}}, "allOf": [schema]}
    work = SchemaWork(root)
    expected = walked(root, root, value)
    assert work._checks(root, value, {}) == expected
    assert work.size is not None
    assert expected <= work.size * _count(value, MOST_CHECKS)
