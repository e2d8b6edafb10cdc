"""Credentials in addresses are hidden wherever they stand, and nothing else is."""

import pytest

from batchpoint.entities.naming.credentials import masked, masked_document, secrets_in, texts_in


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ana:pass@host/simple", "https://***@host/simple"),
        ("https://token@host/simple", "https://***@host/simple"),
        ("https://ana:p@ss@host/simple", "https://***@host/simple"),
        ("ana:pass@host/simple", "***@host/simple"),
        ("https://host/t/abc-123/own", "https://host/t/***/own"),
        ("https://host/x.whl?sig=abc&v=1", "https://host/x.whl?sig=***&v=1"),
        ("https://host/?access_token=abc#top", "https://host/?access_token=***#top"),
        ("x @ git+https://ana:pass@host/x.git", "x @ git+https://***@host/x.git"),
        ("a https://a:b@c/ b https://d:e@f/", "a https://***@c/ b https://***@f/"),
        ("https://***@host/t/***/x", "https://***@host/t/***/x"),
        ("index=(ana%40x+y:pass@host)", "index=(***@host)"),
        ("a:b ana:pass@host", "a:b ***@host"),
    ],
)
def test_a_credential_is_hidden(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host/simple",
        "conda-forge::numpy",
        "name @ https://host/x.whl",
        "2026-01-01T00:00:00Z Built",
        "numpy>=1.2",
        "see me@example.org",
        "https://host/x?version=1",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert masked(text) == text


def test_secrets_are_found_as_written_and_as_they_read() -> None:
    found = secrets_in(["https://ana:p%40ssword@host/t/token-1/x", "https://ab@host"])
    assert set(found) == {"p%40ssword", "p@ssword", "token-1"}
    assert masked("it was p@ssword and token-1", found) == "it was *** and ***"


def test_a_document_is_hidden_text_by_text() -> None:
    document = {"channels": ["https://a:b@c"], "dependencies": [{"pip": ["-i https://d:e@f"]}, 1, None]}
    shown = masked_document(document)
    assert shown == {"channels": ["https://***@c"], "dependencies": [{"pip": ["-i https://***@f"]}, 1, None]}
    assert "https://a:b@c" in texts_in(document)


@pytest.mark.parametrize("text", ["x:", "%", "%:", "+a:", "?token", "token", "?" + "token" * 1000, "://", "/t/"])
@pytest.mark.parametrize("end", ["", "@", " @"])
def test_a_long_text_of_what_looks_like_the_beginning_of_one_is_read_at_once(text: str, end: str) -> None:
    # What needs the square of its length would need hours.
    assert len(masked("?" + text * (500_000 // len(text)) + end)) > 1
