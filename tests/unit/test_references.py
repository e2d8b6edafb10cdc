"""Every form of a reference, and the names inside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpoint.entities.naming import names
from batchpoint.entities.naming.reference import KINDS, Reference, is_local, is_reference, parse
from batchpoint.errors import ReferenceInvalid

ARM = "/subscriptions/s-1/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
IN_W = {"subscription": "s-1", "resource_group": "g", "workspace": "w"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("azureml:m:1", Reference("model", "m", "1")),
        ("azureml:my.model:1.0-rc_2", Reference("model", "my.model", "1.0-rc_2")),
        ("azureml:m@latest", Reference("model", "m", label="latest")),
        ("azureml:/m@latest", Reference("model", "m", label="latest")),
        ("AzureML:m:1", Reference("model", "m", "1")),
        ("azureml:batch-cluster", Reference("compute", "batch-cluster")),
        ("batch-cluster", Reference("compute", "batch-cluster")),
        ("azureml:job-1", Reference("job", "job-1")),
        ("azureml:comp", Reference("component", "comp")),
        (f"{ARM}/models/m/versions/3", Reference("model", "m", "3", **IN_W)),
        (f"azureml:{ARM}/models/m/labels/latest", Reference("model", "m", label="latest", **IN_W)),
        (
            f"{ARM}/computes/c".replace("resourceGroups", "RESOURCEGROUPS").replace("Machine", "machine"),
            Reference("compute", "c", **IN_W),
        ),
        (f"{ARM}/datasets/d/versions/1", Reference("data", "d", "1", **IN_W)),
        (f"{ARM}/batchEndpoints/ep1", Reference("endpoint", "ep1", **IN_W)),
        (f"{ARM}/batchEndpoints/ep1/deployments/dp1", Reference("deployment", "dp1", parent="ep1", **IN_W)),
        (f"{ARM}/batchEndpoints//jobs/j1", Reference("job", "j1", **IN_W)),
        ("azureml://registries/r/models/m/versions/1", Reference("model", "m", "1", registry="r")),
        (
            "azureml://registries/r/environments/e/labels/latest",
            Reference("environment", "e", label="latest", registry="r"),
        ),
        (
            "azureml://locations/eu/workspaces/w/data/d/versions/1",
            Reference("data", "d", "1", workspace="w", location="eu"),
        ),
        (
            "azureml://locations/eu/workspaces/w/data/d/versions/labels/latest",
            Reference("data", "d", label="latest", workspace="w", location="eu"),
        ),
        (
            "azureml://subscriptions/s-1/resourcegroups/g/workspaces/w/data/d/versions/1",
            Reference("data", "d", "1", **IN_W),
        ),
        ("azureml://data/d/versions/1", Reference("data", "d", "1")),
        ("azureml://models/m/versions/1", Reference("model", "m", "1")),
    ],
)
def test_every_form_is_read(text: str, expected: Reference) -> None:
    assert parse(text, expected.kind) == expected
    assert is_reference(text) or text == "batch-cluster"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("somename", "model", ["not a reference to a model", "azureml:<model name>:<version>"]),
        ("azureml:m", "model", ["neither a version nor a label", "@latest"]),
        ("azureml:m:1@latest", "model", ["a version and a label", "keep one"]),
        ("azureml:m:", "model", ['ends after ":"']),
        ("azureml:m@", "model", ['ends after "@"']),
        ("azureml:c:1", "compute", ["a compute has no versions"]),
        ("azureml:my model:1", "model", ['"my model" is not an asset name']),
        ("azureml:m:a/b", "model", ['"a/b" is not a version']),
        (f"{ARM}/models/m/versions/1", "compute", ["is the id of a model, and a compute is wanted"]),
        (f"{ARM}/widgets/m", "model", ["does not end in <type>/<name>"]),
        ("/subscriptions/s/models/m", "model", ["not a complete id"]),
        ("azureml://datastores/d/paths/p", "model", ["not the id of an asset"]),
        ("azureml://registries/r/models/m", "model", ["neither a version nor a label"]),
        ("", "compute", ['"" is 0 long']),
        ("x" * 300, "compute", ["is 300 long"]),
    ],
)
def test_what_is_no_reference_is_refused_with_a_sentence(text: str, kind: str, words: list[str]) -> None:
    with pytest.raises(ReferenceInvalid) as caught:
        parse(text, kind)
    for word in words:
        assert word in caught.value.message


@given(
    st.text(alphabet="azureml:/@.-1 subscriptionsresourceGroups", max_size=60),
    st.sampled_from(sorted(set(KINDS.values()))),
)
def test_any_text_is_read_or_refused(text: str, kind: str) -> None:
    try:
        assert parse(text, kind).kind == kind
    except ReferenceInvalid as error:
        assert error.message


@given(st.from_regex(r"azureml:[a-z][a-z0-9]{0,8}(:[0-9]{1,3}|@latest)", fullmatch=True))
def test_short_forms_print_as_they_were_written(text: str) -> None:
    assert str(parse(text, "model")) == text


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("./model", True),
        ("model", True),
        ("/abs/model", True),
        ("file:model", True),
        ("FILE:///abs", True),
        ("~/m", True),
        ("azureml://datastores/d/paths/p", False),
        ("https://h/p", False),
        ("runs:/a/b", False),
        ("wasbs://c@a/p", False),
        (f"{ARM}/data/d", False),
        ("azureml:m:1", False),
    ],
)
def test_local_paths_are_told_from_uris(text: str, local: bool) -> None:
    assert is_local(text) is local


@pytest.mark.parametrize(
    ("rule", "name", "count"),
    [
        (names.ENDPOINT, "abc", 0),
        (names.ENDPOINT, "MyEp-1", 0),
        (names.ENDPOINT, "ab", 1),
        (names.ENDPOINT, "a" * 32, 0),
        (names.ENDPOINT, "a" * 33, 1),
        (names.ENDPOINT, "1abc", 1),
        (names.ENDPOINT, "abc-", 1),
        (names.ENDPOINT, "a_c", 1),
        (names.ENDPOINT, "é_", 2),
        (names.ENDPOINT, "abc\n", 1),
        (names.DEPLOYMENT, "a.b", 1),
        (names.ASSET, "my.model_1-x", 0),
        (names.ASSET, "-x", 1),
        (names.ASSET, "x.", 1),
        (names.VERSION, "1.0_a-b", 0),
        (names.VERSION, "1@latest", 1),
        (names.VERSION, "1" * 65, 1),
        (names.JOB, "batchjob-0123_x", 0),
        (names.JOB, "_x", 1),
    ],
)
def test_names_follow_their_rule(rule: names.NameRule, name: str, count: int) -> None:
    assert len(rule.problems(name)) == count


def test_an_endpoint_name_is_lowered_and_length_and_letters_are_two_sentences() -> None:
    assert names.ENDPOINT.checked("MyEp") == "myep"
    assert names.DEPLOYMENT.checked("MyDp") == "MyDp"
    with pytest.raises(
        ReferenceInvalid, match=r"\"a_\" is 2 long; an endpoint name has 3 to 32.*; \"a_\" is not an endpoint"
    ):
        names.ENDPOINT.checked("a_")
