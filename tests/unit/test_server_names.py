"""By which names a server may be called, and which hosts a proxy leads to it."""

import pytest

from batchpoint.server.transport.names import answers_to, extra_names, is_certifiable, is_public
from batchpoint.settings import Settings


@pytest.mark.parametrize(
    "name",
    [
        *("management.azure.com", "Management.Azure.com", "login.microsoftonline.com"),
        *("batchpoint.blob.core.windows.net", "bp0123456789abcdef.blob.core.windows.net"),
        *("digits.inference.ml.azure.com", "digits.westeurope.inference.ml.azure.com"),
    ],
)
def test_hosts_that_scripts_have_written_into_them_are_led_here(name: str) -> None:
    assert is_public(name)


@pytest.mark.parametrize(
    "name",
    [
        *("azure.com", "evil-management.azure.com", "management.azure.com.evil.org", "management.azure.com\n"),
        *("azuremlexampledata.blob.core.windows.net", "bp0123.blob.core.windows.net", "blob.core.windows.net"),
        *("a.b.c.inference.ml.azure.com", ".inference.ml.azure.com", "managementxazure.com", ""),
    ],
)
def test_no_other_host_is(name: str) -> None:
    assert not is_public(name)


def test_a_server_answers_to_loopback_and_to_what_its_operator_allows() -> None:
    settings = Settings(server_hosts_allowed="Batch.Example.org, *.blob.example.org,, localhost")
    extra = frozenset(extra_names(settings))
    assert extra == {"batch.example.org", "*.blob.example.org"}
    for name in ("localhost", "127.0.0.1", "::1", "bp.blob.localhost", "batch.example.org", "bp.blob.example.org"):
        assert answers_to(name, extra)
    for name in ("example.org", "a.b.blob.example.org", "blob.example.org", "evil.org", "localhost.evil.org", ""):
        assert not answers_to(name, extra)
    assert not answers_to("management.azure.com", extra)


@pytest.mark.parametrize(
    ("host", "names"), [("0.0.0.0", ()), ("::", ()), ("127.0.0.1", ()), ("10.0.0.9", ("10.0.0.9",))]
)
def test_an_address_to_listen_on_is_a_name_unless_it_stands_for_all(host: str, names: tuple[str, ...]) -> None:
    assert extra_names(Settings(), host) == names


def test_storage_accounts_have_names_below_their_domain() -> None:
    assert extra_names(Settings(storage_host="Example.org:8443")) == ("*.blob.example.org",)
    assert extra_names(Settings(storage_host="localhost:8443")) == ()


@pytest.mark.parametrize("name", ["a b", "-a", "a..b", "a/b", "x" * 64, "*", "*.*.a", "a.*"])
def test_no_certificate_is_made_out_to_what_is_no_name(name: str) -> None:
    assert not is_certifiable(name)
