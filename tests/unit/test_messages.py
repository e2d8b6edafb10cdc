"""The worker's lines, read with distrust: a script may write to the channel whatever it likes."""

import json

import pytest

from batchpoint.engine.messages import Failed, Failure, InitFailed, Ready, Scored, line, parse

SCORED = {
    "t": "Scored",
    "m": 3,
    "a": 1,
    "n": 10,
    "rows": 11,
    "off": 5,
    "len": 60,
    "crc": 4294967295,
    "s": 0.25,
    "r": 0.2,
}
FAILED = {
    "t": "Failed",
    "m": 3,
    "a": 2,
    "code": "ScriptRaised",
    "message": "no",
    "traceback": "here",
    "s": 0.1,
    "r": 0.05,
}
READY = {"t": "Ready", "pid": 1, "python": "3.6.15", "host": "here", "init_s": 0.1}


def said(message: object) -> bytes:
    return json.dumps(message).encode()


def test_what_workers_say_is_understood() -> None:
    assert parse(7, said(SCORED)) == Scored(7, 3, 1, 10, 11, 5, 60, 4294967295, 0.25, 0.2)
    assert parse(7, said(FAILED)) == Failed(7, 3, 2, Failure("ScriptRaised", "no", "here"), 0.1, 0.05)
    assert parse(7, said(READY)) == Ready(7, "3.6.15", 1, "here", 0.1)
    failed = {"t": "InitFailed", "code": "InitFailed", "message": "no", "traceback": "here"}
    assert parse(7, said(failed)) == InitFailed(7, Failure("InitFailed", "no", "here"))
    assert parse(7, said({"t": "Bye"})) is None


@pytest.mark.parametrize("field", ["m", "a", "n", "rows", "off", "len", "crc", "s", "r"])
@pytest.mark.parametrize("value", [-1, "1", None, [], 1 << 80, 10**400, float("nan"), float("inf")])
def test_a_number_that_cannot_be_is_no_answer(field: str, value: object) -> None:
    if field in {"s", "r"} and value == "1":
        return
    with pytest.raises(ValueError, match="not a worker's line"):
        parse(0, said({**SCORED, field: value}))


@pytest.mark.parametrize("answer", [SCORED, FAILED, READY], ids=lambda answer: answer["t"])
def test_an_answer_that_lacks_a_field_is_none(answer: dict[str, object]) -> None:
    for field in answer:
        with pytest.raises(ValueError, match="not a worker's line"):
            parse(0, said({name: value for name, value in answer.items() if name != field}))


@pytest.mark.parametrize(
    "noise",
    [b"", b"hello", b"\xff\xfe\x00", b"[]", b"1", b"null", b'"Ready"', b"{}", b'{"t":[]}', b'{"t":"Start"}', b"{" * 9],
)
def test_noise_is_no_answer(noise: bytes) -> None:
    with pytest.raises(ValueError):
        parse(0, noise)


def test_a_line_without_end_of_brackets_is_no_answer() -> None:
    with pytest.raises(ValueError):
        parse(0, b"[" * 100_000)


def test_text_of_user_code_can_always_be_stored() -> None:
    event = parse(0, said({**FAILED, "message": "bad \udcff\0 name", "traceback": "\ud800", "code": 3}))
    assert isinstance(event, Failed)
    assert event.failure == Failure("3", "bad \\udcff\\x00 name", "\\ud800")


def test_a_line_to_a_worker_ends_where_it_says() -> None:
    assert line({"t": "Score", "path": "a\nb\u2028"}).count(b"\n") == 1
