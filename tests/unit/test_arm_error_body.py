"""An error that is raised in the server is the same error in the client."""

import json

import pytest

from batchpoint import errors
from batchpoint.arm.envelope import error_body


def all_errors() -> list[type[errors.BatchpointError]]:
    found, ahead = [], [errors.BatchpointError]
    while ahead:
        kind = ahead.pop()
        found.append(kind)
        ahead += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == "batchpoint.errors" and kind is not errors.ValidationFailed]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_the_same_class(kind: type[errors.BatchpointError]) -> None:
    error = kind("a sentence", target="x")
    sent = json.loads(json.dumps(error_body.to_json(error)))
    back = error_body.from_json(error_body.status_of(error), sent)
    assert (type(back), back.message, back.target) == (kind, "a sentence", "x")


def test_problems_come_back_one_by_one_and_the_message_ends_in_the_list_that_scripts_read() -> None:
    error = errors.ValidationFailed(
        "deployment", (errors.Problem("a.b", "must be 1."), errors.Problem("c", "unknown."))
    )
    sent = error_body.to_json(error)
    assert error_body.status_of(error) == 400
    assert sent["error"]["code"] == "UserError"
    listed = json.loads(sent["error"]["message"].partition("Errors: ")[2])
    assert [entry["PropertyName"] for entry in listed] == ["a.b", "c"]
    back = error_body.from_json(400, json.loads(json.dumps(sent)))
    assert isinstance(back, errors.ValidationFailed)
    assert (back.problems, back.message) == (error.problems, error.message)


def test_a_problem_is_named_on_the_wire_as_it_was_sent_and_to_the_caller_as_it_was_written() -> None:
    error = errors.ValidationFailed("x", (errors.Problem("properties.retrySettings.maxRetries", "must be 1."),))
    back = error_body.from_json(400, error_body.to_json(error))
    assert isinstance(back, errors.ValidationFailed)
    assert back.problems[0].key == "retry_settings.max_retries"


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in all_errors()]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"error": {"code": "SomethingNew", "message": "m"}}, errors.ResourceNotFound),
        (418, {"error": {"code": "SomethingNew", "message": "m"}}, errors.UserError),
        (502, None, errors.InternalError),
        (401, "text", errors.AccessDenied),
        (409, {"error": {"message": None}}, errors.ResourceConflict),
        (503, [], errors.StoreUnavailable),
    ],
)
def test_a_body_that_is_not_ours_becomes_an_error_by_its_status(
    status: int, body: object, kind: type[errors.BatchpointError]
) -> None:
    assert type(error_body.from_json(status, body)) is kind
