"""Owns how credentials in addresses of package indexes and channels are told from the rest, and hidden. Pure.

The builder masks what it writes with it, the server what it answers; it knows no environment and no file.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

#: What stands in the place of a credential.
HIDDEN = "***"
#: Replacing anything shorter would tear ordinary words apart.
_SHORTEST = 4

_USER = re.compile(r"(?P<before>://)(?P<secret>[^/\s'\"<>]+)(?=@)")
# Texts are foreign and long: a word is looked at where it begins, and no further unless an @ ends it.
_BARE_USER = re.compile(
    r"(?<![^\s/@'\"])(?=[^\s/@'\"]+@)(?P<before>[^\s/@'\"]*?(?<![\w/.@*%+-]))(?P<secret>[\w.+%-]+:[^\s/@'\"]+)(?=@)"
)
_TOKEN = re.compile(r"(?P<before>/t/)(?P<secret>[^/\s'\"<>]+)")
_QUERY = re.compile(
    r"(?P<before>[?&][\w.-]{0,64}(?:token|sig|key|pass|secret|auth)[\w.-]{0,64}=)(?P<secret>[^&\s'\"#]+)", re.IGNORECASE
)
_PLACES = (_USER, _BARE_USER, _TOKEN, _QUERY)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` with ``***`` for what stands where credentials stand in an address, and for each of ``secrets``."""
    for place in _PLACES:
        text = place.sub(lambda found: f"{found['before']}{HIDDEN}", text)
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def masked_document(value: Any) -> Any:
    """The same for every text in a document of mappings and lists."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {masked_document(key): masked_document(one) for key, one in value.items()}
    if isinstance(value, list):
        return [masked_document(one) for one in value]
    return value


def secrets_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The credentials in ``texts``, also as they read unquoted, the longest first: for ``masked``."""
    found: set[str] = set()
    for text in texts:
        for place in _PLACES:
            for match in place.finditer(text):
                secret = match["secret"]
                # A user's name is no secret where a password follows it.
                found.add(secret.partition(":")[2] or secret)
    found |= {unquote(secret) for secret in found}
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST and one != HIDDEN), key=len, reverse=True))


def texts_in(value: Any) -> list[str]:
    """Every text in a document of mappings and lists."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in texts_in(one)]
    return [text for one in value for text in texts_in(one)] if isinstance(value, list) else []
