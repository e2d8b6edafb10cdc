"""A name that somebody typed stays one segment of a path, whatever it holds."""

import pytest

from batchpoint.client.requests import segment
from batchpoint.errors import ReferenceInvalid


@pytest.mark.parametrize("name", ["", ".", "..", "ep/deployments/blue", "../computes/cluster", "/subscriptions/s"])
def test_a_name_that_would_lead_to_another_noun_is_refused(name: str) -> None:
    with pytest.raises(ReferenceInvalid, match="is not a name"):
        segment(name)


@pytest.mark.parametrize(
    ("name", "sent"),
    [("blue-1.0_x", "blue-1.0_x"), ("a?b#c%2F", "a%3Fb%23c%252F"), ("a b", "a%20b"), ("azureml:x", "azureml:x")],
)
def test_what_a_url_would_read_as_its_own_is_written_out(name: str, sent: str) -> None:
    assert segment(name) == sent
