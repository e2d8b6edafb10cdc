"""Bodies as clients really send them: trailing commas, any casing, numbers as text, ISO-8601 durations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.arm.envelope.reading import Body, duration_from_iso, duration_to_iso, parse_body
from batchpoint.errors import UserError, ValidationFailed


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", {}),
        (b"  \n", {}),
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": {"b": [1, 2,], }, }', {"a": {"b": [1, 2]}}),
        (b'{"a": "x,}", "b": "\\",]",}', {"a": "x,}", "b": '",]'}),
        (b'{\n  "a": "PT1M",\n}\n', {"a": "PT1M"}),
    ],
)
def test_an_object_is_read_with_or_without_trailing_commas(raw: bytes, expected: dict[str, object]) -> None:
    assert parse_body(raw).mapping("") == {}
    assert {key: parse_body(raw).raw(key) for key in expected} == expected


@pytest.mark.parametrize("raw", [b"{", b"[1]", b'"text"', b"null", b"{a: 1}", b"\xff\xfe", b"[" * 100_000, b'{"a":,}'])
def test_what_is_no_object_is_a_user_error_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(UserError, match=r"request body.*(JSON|object)"):
        parse_body(raw)


def test_keys_are_found_in_any_casing_and_names_keep_theirs() -> None:
    body = parse_body(b'{"Properties": {"InputData": {"MyInput": {"Uri": "x"}}, "TAGS": {"Team": "A", "n": 1}}}')
    properties = body.child("properties")
    assert [(name, entry.text("uri")) for name, entry in properties.children("inputData").items()] == [("MyInput", "x")]
    assert properties.texts("tags") == {"Team": "A", "n": "1"}
    assert properties.child("inputData").child("MyInput").path == "properties.inputData.MyInput"


def test_null_and_absent_are_the_same() -> None:
    body = Body({"a": None})
    assert (body.text("a"), body.integer("b"), body.boolean("a"), body.texts("a"), body.items("b")) == (
        None,
        None,
        None,
        {},
        [],
    )
    assert not body.has("a")


@pytest.mark.parametrize(
    ("value", "expected"), [(5, 5), ("5", 5), (" 5 ", 5), ("-1", -1), (5.0, 5), ("5.0", 5), ("", None)]
)
def test_integers_are_read_from_numbers_and_from_text(value: object, expected: int | None) -> None:
    assert Body({"n": value}).integer("n") == expected


@pytest.mark.parametrize("value", ["five", 5.5, "5.5", True, [5], {"a": 1}, "1e999", float("inf"), float("nan")])
def test_what_is_no_integer_is_named_with_its_key(value: object) -> None:
    with pytest.raises(ValidationFailed, match=r"settings\.n.*must be an integer"):
        Body({"n": value}, "settings").integer("n")


@pytest.mark.parametrize(
    ("key", "read", "value"),
    [("o", "child", 1), ("t", "text", {}), ("b", "boolean", "maybe"), ("l", "items", {}), ("d", "duration", "soon")],
)
def test_a_value_of_another_kind_is_named_with_its_key(key: str, read: str, value: object) -> None:
    with pytest.raises(ValidationFailed, match=rf"p\.{key}: must be"):
        getattr(Body({key: value}, "p"), read)(key)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30),
        ("PT1M", 60),
        ("PT1H30M", 5400),
        ("P1D", 86_400),
        ("P1W", 604_800),
        ("P1DT1H1M1.5S", 90_061.5),
        ("PT0,5S", 0.5),
        ("pt30s", 30),
        ("30", 30),
        ("0.5", 0.5),
        ("PT0S", 0),
    ],
)
def test_durations_are_read_in_full(text: str, seconds: float) -> None:
    assert duration_from_iso(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "30s", "P1Y", "PT-1S", "-5", "inf", "nan", "PT1S1M"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration_from_iso(text) is None


@given(st.integers(min_value=0, max_value=10**7))
def test_a_duration_comes_back_as_it_went(seconds: int) -> None:
    assert duration_from_iso(duration_to_iso(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "PT30S"), (60, "PT1M"), (0, "PT0S"), (120, "PT2M"), (3661, "PT1H1M1S"), (0.5, "PT0.5S")]
)
def test_a_duration_is_written_in_its_normal_form(seconds: float, text: str) -> None:
    assert duration_to_iso(seconds) == text
