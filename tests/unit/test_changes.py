"""``--set``, ``--add`` and ``--remove``: how words are read, and what they do to a tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.entities.from_yaml.changes import (
    Append,
    Assign,
    Change,
    Remove,
    apply,
    parse_add,
    parse_remove,
    parse_set,
)
from batchpoint.errors import ValidationFailed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a=1"], [Assign(("a",), "1")]),
        (["a.b=c", "d.e=f"], [Assign(("a", "b"), "c"), Assign(("d", "e"), "f")]),
        (
            ["inputs.x.type", "uri_folder", "inputs.x.path", "P"],
            [Assign(("inputs", "x", "type"), "uri_folder"), Assign(("inputs", "x", "path"), "P")],
        ),
        (["p", "https://h/a?b=c", "d=e"], [Assign(("p",), "https://h/a?b=c"), Assign(("d",), "e")]),
        (["a=b=c"], [Assign(("a",), "b=c")]),
        (["a="], [Assign(("a",), "")]),
        (["a=two\nlines"], [Assign(("a",), "two\nlines")]),
        (["tags.my-key=v"], [Assign(("tags", "my-key"), "v")]),
        (['tags["a.b"]=v'], [Assign(("tags", "a.b"), "v")]),
        (["list[0].x=v"], [Assign(("list", 0, "x"), "v")]),
        (['a={"b": [1, null]}'], [Assign(("a",), {"b": [1, None]})]),
        (["a=null"], [Assign(("a",), None)]),
        (["a=true", "b=1.10"], [Assign(("a",), "true"), Assign(("b",), "1.10")]),
        (["a={oops"], [Assign(("a",), "{oops")]),
        ([], []),
    ],
)
def test_set_reads_pairs(words: list[str], expected: list[Change]) -> None:
    assert list(parse_set(words)) == expected


def test_force_string_reads_no_json() -> None:
    assert parse_set(["a=null"], force_string=True) == (Assign(("a",), "null"),)


@pytest.mark.parametrize(
    ("parse", "words", "key"),
    [
        (parse_set, ["a.b"], "--set a.b"),
        (parse_set, ["=x"], "--set =x"),
        (parse_set, ["a b=x"], "--set a b=x"),
        (parse_add, ["a"], "--add a"),
        (parse_remove, [], "--remove"),
        (parse_remove, ["a", "x"], "--remove a x"),
        (parse_remove, [""], "--remove"),
    ],
)
def test_misuse_shows_how_to_write_it(parse, words: list[str], key: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse(words)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert problem.message


def test_add_joins_pairs_to_a_block_and_takes_text_and_json() -> None:
    assert parse_add(["l", "a=1", "b=2"]) == (Append(("l",), {"a": "1", "b": "2"}),)
    assert parse_add(["l.m", "text", '{"c": 3}']) == (Append(("l", "m"), "text"), Append(("l", "m"), {"c": 3}))
    assert parse_remove(["l", "1"]) == (Remove(("l", 1)),)


@pytest.mark.parametrize(
    ("tree", "changes", "expected"),
    [
        ({}, [Assign(("a", "b"), "c")], {"a": {"b": "c"}}),
        ({"a": None}, [Assign(("a", "b"), "c")], {"a": {"b": "c"}}),
        ({"a": {"b": 1, "c": 2}}, [Assign(("a", "b"), "x")], {"a": {"b": "x", "c": 2}}),
        ({"a": [1, 2]}, [Assign(("a", 1), "x"), Assign(("a", "2"), "y")], {"a": [1, "x", "y"]}),
        ({"a": [{"b": 1}]}, [Assign(("a", 0, "b"), 2)], {"a": [{"b": 2}]}),
        ({}, [Append(("a",), "x"), Append(("a",), "y")], {"a": ["x", "y"]}),
        ({"a": [1, 2, 3]}, [Remove(("a", 0)), Remove(("a", -1))], {"a": [2]}),
        ({"a": {"b": 1}, "c": 2}, [Remove(("a", "b")), Remove(("c",))], {"a": {}}),
    ],
)
def test_changes_are_made_to_a_copy(tree: dict, changes: list[Change], expected: dict) -> None:
    before = repr(tree)
    assert apply(tree, changes) == expected
    assert repr(tree) == before


def test_every_change_that_cannot_be_made_is_named() -> None:
    tree = {"model": "azureml:a:1", "list": [1]}
    changes = [
        *parse_set(["model.name=x", "list.x=1", "list[5]=1"]),
        *parse_add(["model", "x"]),
        *parse_remove(["nope"]),
    ]
    with pytest.raises(ValidationFailed) as caught:
        apply(tree, changes)
    assert [problem.key for problem in caught.value.problems] == [
        "--set model.name",
        "--set list.x",
        "--set list[5]",
        "--add model",
        "--remove nope",
    ]
    assert 'model is the text "azureml:a:1"' in caught.value.problems[0].message


_STEPS = st.lists(st.sampled_from(["a", "b", "0", 0, 1, -1]), min_size=1, max_size=3).map(tuple)
_TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("ab01"), below, max_size=3),
)


@given(
    st.dictionaries(st.sampled_from("ab01"), _TREES, max_size=3),
    st.lists(
        st.builds(Assign, _STEPS, _TREES) | st.builds(Append, _STEPS, _TREES) | st.builds(Remove, _STEPS), max_size=4
    ),
)
def test_any_change_is_made_or_refused(tree: dict, changes: list[Change]) -> None:
    try:
        assert isinstance(apply(tree, changes), dict)
    except ValidationFailed as error:
        assert error.problems


@given(st.lists(st.text(alphabet='ab.=[]0"{ ', max_size=8), max_size=4))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    for parse in (parse_set, parse_add, parse_remove):
        try:
            parse(words)
        except ValidationFailed as error:
            assert error.problems
