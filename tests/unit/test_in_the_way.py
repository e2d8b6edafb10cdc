"""What in the variables of a shell keeps programs away from a server of ours."""

import pytest

from batchpoint.settings import in_the_way

PROXY = "http://proxy.example.org:3128"


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, set()),
        ({"HTTPS_PROXY": PROXY}, {"HTTPS_PROXY"}),
        ({"https_proxy": PROXY, "NO_PROXY": "example.org,127.0.0.1"}, {"https_proxy"}),
        ({"https_proxy": PROXY, "NO_PROXY": "127.0.0.1, LocalHost"}, set()),
        ({"ALL_PROXY": PROXY, "no_proxy": "*"}, set()),
        ({"HTTPS_PROXY": ""}, set()),
        ({"AZURE_CLIENT_ID": "a", "AZURE_CLIENT_SECRET": "b"}, {"AZURE_CLIENT_SECRET"}),
    ],
)
def test_proxies_and_other_logins_are_noticed(environ: dict[str, str], names: set[str]) -> None:
    assert set(in_the_way("localhost", environ)) == names
