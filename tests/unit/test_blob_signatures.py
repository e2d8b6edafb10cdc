"""Signatures that the official client makes are taken for what they are good for; ours and theirs are the same."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobSasPermissions,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.blob._shared.authentication import _storage_header_sort

from batchpoint.errors import BlobRefused
from batchpoint.server.blobs import sas, shared_key

KEYS = tuple(base64.b64encode(bytes([n]) * 64).decode() for n in (1, 2))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def asked(container: str = "box", blob: str = "a/b", scheme: str = "https", client: str = "10.0.0.7") -> sas.Asked:
    return sas.Asked("acct", container, blob, scheme, client)


def of_container(key: int = 0, **more: Any) -> dict[str, str]:
    said = {"permission": ContainerSasPermissions(read=True, list=True), "expiry": NOW + HOUR, **more}
    return dict(parse_qsl(generate_container_sas("acct", "box", KEYS[key], **said)))


def checked(query: dict[str, str], about: sas.Asked | None = None) -> sas.Granted:
    return sas.check(query, about or asked(), KEYS, NOW)


def refusal(query: dict[str, str], about: sas.Asked | None = None) -> str:
    with pytest.raises(BlobRefused) as refused:
        checked(query, about)
    assert refused.value.status == 403
    return refused.value.storage_code


@pytest.mark.parametrize("key", [0, 1])
def test_a_signature_for_a_container_is_good_for_what_is_in_it(key: int) -> None:
    granted = checked(of_container(key))
    assert (granted.letters, granted.levels, granted.is_of_account) == (frozenset("rl"), frozenset("co"), False)
    assert checked(of_container(key), asked(blob="")) == granted
    assert refusal(of_container(key), asked(container="other")) == "AuthenticationFailed"


def test_a_signature_for_a_blob_is_good_for_that_one() -> None:
    permission = BlobSasPermissions(read=True)
    text = generate_blob_sas("acct", "box", "a/b", account_key=KEYS[0], permission=permission, expiry=NOW + HOUR)
    query = dict(parse_qsl(text))
    assert checked(query).levels == frozenset("o")
    for other in (asked(blob="a/c"), asked(blob="a/b/c"), asked(blob=""), asked(container="boxa", blob="b")):
        assert refusal(query, other) == "AuthenticationFailed"


def test_a_signature_for_a_folder_is_good_below_it() -> None:
    query = {"sv": "2021-12-02", "se": "2026-01-02T04:00:00Z", "sr": "d", "sdd": "1", "sp": "r"}
    query["sig"] = sas.sign(KEYS[0], sas._text_of_service(query, "/blob/acct/box/a"))
    assert checked(query, asked(blob="a/b/c")).letters == frozenset("r")
    assert refusal(query, asked(blob="ab/c")) == "AuthenticationFailed"
    assert refusal({**query, "sdd": "2"}, asked(blob="a/b/c")) == "AuthenticationFailed"
    assert refusal({**query, "sdd": "0"}, asked(blob="a/b/c")) == "AuthenticationFailed"


def test_a_signature_of_the_account_says_at_which_levels_it_is_good() -> None:
    permission, types = AccountSasPermissions(read=True, write=True), ResourceTypes(container=True)
    query = dict(parse_qsl(generate_account_sas("acct", KEYS[1], types, permission, NOW + HOUR)))
    granted = checked(query, asked(container="any"))
    assert (granted.letters, granted.levels, granted.is_of_account) == (frozenset("rw"), frozenset("c"), True)
    assert refusal({**query, "srt": "sco"}) == "AuthenticationFailed"


@pytest.mark.parametrize("name", ["sv", "se", "sr", "sp", "sig", "st", "spr", "sip"])
def test_no_part_of_a_signature_can_be_changed(name: str) -> None:
    query = of_container(start=NOW - HOUR, protocol="https", ip="10.0.0.7")
    assert checked(query)
    values = {"sv": "2021-12-02", "se": "2030-01-01T00:00:00Z", "sr": "b", "sp": "rwdl", "spr": "https,http"}
    changed = {**query, name: values.get(name, "2020-01-01T00:00:00Z")}
    assert refusal(changed) == "AuthenticationFailed"
    assert refusal({key: value for key, value in query.items() if key != name}) == "AuthenticationFailed"


def test_a_signature_is_good_while_and_where_it_says() -> None:
    assert refusal(of_container(expiry=NOW)) == "AuthenticationFailed"
    assert refusal(of_container(start=NOW + timedelta(minutes=6))) == "AuthenticationFailed"
    secure = of_container(protocol="https")
    assert checked(secure)
    assert refusal(secure, asked(scheme="http")) == "AuthorizationProtocolMismatch"
    here = of_container(ip="10.0.0.0-10.0.0.9")
    assert checked(here)
    assert refusal(here, asked(client="10.0.0.10")) == "AuthorizationSourceIPMismatch"
    assert refusal(here, asked(client="testclient")) == "AuthorizationSourceIPMismatch"


@pytest.mark.parametrize(
    "query",
    [{}, {"sig": "x"}, {"sv": "2015-04-05", "sig": "x"}, {"sv": "9999-99-99x", "sig": "x"}, {"sv": "é", "sig": "é"}],
)
def test_what_is_no_signature_is_refused(query: dict[str, str]) -> None:
    assert refusal(query) == "AuthenticationFailed"


def test_signatures_by_a_users_key_and_by_a_policy_are_not_taken() -> None:
    assert refusal(of_container() | {"skoid": "x"}) == "AuthenticationFailed"
    assert refusal(of_container() | {"si": "policy"}) == "AuthenticationFailed"


def test_ours_are_as_good_as_theirs() -> None:
    text = sas.container_signature("acct", KEYS[0], "box", "rl", HOUR, https_only=True)
    granted = sas.check(dict(parse_qsl(text)), asked(), KEYS, datetime.now(UTC))
    assert granted.letters == frozenset("rl")


@pytest.mark.parametrize(
    "names",
    [
        ["x-ms-meta-a_b", "x-ms-meta-ab", "x-ms-meta-a1", "x-ms-meta-a"],
        ["x-ms-blob-type", "x-ms-blob-content-type", "x-ms-blobtype", "x-ms-date", "x-ms-client-request-id"],
        ["x-ms-meta-a-b", "x-ms-meta-ab", "x-ms-meta--ab", "x-ms-meta-ab-", "x-ms-metaab"],
        ["x-ms-meta-b", "x-ms-meta-_", "x-ms-meta-0", "x-ms-version", "x-ms-range"],
    ],
)
def test_headers_are_signed_in_the_order_of_the_official_client(names: list[str]) -> None:
    theirs = [name for name, _ in _storage_header_sort([(name, "") for name in names])]
    assert shared_key._by_weight(names) == theirs


def signed(**headers: str) -> shared_key.SignedRequest:
    dated = {"x-ms-date": "Fri, 02 Jan 2026 03:04:05 GMT", "x-ms-version": "2021-12-02", **headers}
    return shared_key.SignedRequest("GET", "/acct/box/a%20b", (("comp", "metadata"),), dated)


OF_BOTH = "x-ms-date:Fri, 02 Jan 2026 03:04:05 GMT\nx-ms-version:2021-12-02\n/acct/acct/box/a%20b"


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        ("SharedKey", "GET\n\n\n\n\n\n\n\n\n\n\n\n" + OF_BOTH + "\ncomp:metadata"),
        ("SharedKeyLite", "GET\n\n\n\n" + OF_BOTH + "?comp=metadata"),
    ],
)
def test_a_request_is_signed_in_either_form(scheme: str, text: str) -> None:
    good = f"{scheme} acct:{sas.sign(KEYS[1], text)}"
    shared_key.check(signed(authorization=good), "acct", KEYS, NOW)
    for request, account, now in (
        (signed(authorization=good), "other", NOW),
        (signed(authorization=good), "acct", NOW + timedelta(minutes=16)),
        (signed(authorization=good), "acct", NOW - timedelta(minutes=16)),
        (signed(authorization=good, **{"x-ms-range": "bytes=0-1"}), "acct", NOW),
        (signed(authorization=good, **{"x-ms-date": "yesterday"}), "acct", NOW),
        (signed(authorization=f"{scheme} acct:"), "acct", NOW),
        (signed(authorization=f"{scheme} acct:é"), "acct", NOW),
    ):
        with pytest.raises(BlobRefused) as refused:
            shared_key.check(request, account, KEYS, now)
        assert refused.value.storage_code == "AuthenticationFailed"
