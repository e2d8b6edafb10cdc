"""What the operator wrote into ``issuers.toml`` of the home: whose tokens count here besides our own.

Read once, when the server starts. Knows no keys and fetches nothing.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from batchpoint.errors import Problem, UserError, ValidationFailed
from batchpoint.server.identity.tokens.audiences import Audience

#: What the tokens of an issuer look like: as RFC 9068 says, as Entra ID writes them, or as OpenID providers do.
Profile = Literal["oidc", "entra", "at+jwt"]

FILE_NAME = "issuers.toml"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer of tokens, and what its tokens may be used for here."""

    #: Claim ``iss`` of its tokens, letter by letter.
    url: str
    profile: Profile = "oidc"
    #: Claim ``aud`` of its tokens → what such a token is for here.
    audiences: dict[str, frozenset[Audience]] = field(default_factory=dict)
    #: Where its OpenID configuration stands.
    discovery: str = ""
    #: A file with its keys, instead of ``discovery``.
    jwks_file: Path | None = None


@dataclass(frozen=True)
class Federation:
    """Who shows a token of ``issuer`` with this subject and audience gets tokens of a service principal of ours."""

    #: Name or client id.
    principal: str
    issuer: str
    subject: str
    audience: str


@dataclass(frozen=True)
class Trust:
    """All that ``issuers.toml`` says."""

    issuers: tuple[TrustedIssuer, ...] = ()
    federations: tuple[Federation, ...] = ()


def read_trust(home: Path) -> Trust:
    """What the file of ``home`` says; nobody is trusted when there is none. Raises ValidationFailed, UserError."""
    path = home / FILE_NAME
    if not path.is_file():
        return Trust()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}. Mend or remove it.", target=str(path)) from error
    reader = _Reader(home)
    issuers = tuple(reader.issuer(key, block) for key, block in reader.blocks(found, "issuer"))
    federations = tuple(reader.federation(key, block) for key, block in reader.blocks(found, "federation"))
    reader.refuse_others("", found, ("issuer", "federation"))
    reader.check_together(issuers, federations)
    if reader.problems:
        raise ValidationFailed("trusted issuers", tuple(reader.problems), source=str(path))
    return Trust(issuers, federations)


class _Reader:
    """Collects every mistake of the file instead of stopping at the first."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.problems: list[Problem] = []

    def blocks(self, found: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
        listed = found.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            self._wrong(name, f"write [[{name}]], in two pairs of brackets, above each of them.")
            return []
        return [(f"{name}[{index}]", block) for index, block in enumerate(listed)]

    def issuer(self, key: str, block: dict[str, Any]) -> TrustedIssuer:
        self.refuse_others(key, block, ("url", "profile", "audiences", "discovery", "jwks_file"))
        url = self._address(f"{key}.url", self._text(key, block, "url"))
        profile = block.get("profile", "oidc")
        if profile not in get_args(Profile):
            self._wrong(f"{key}.profile", f"must be one of {', '.join(get_args(Profile))}.")
        named = self._address(f"{key}.discovery", self._text(key, block, "discovery", ""))
        file = self._text(key, block, "jwks_file", "")
        if file and not (self._home / file).is_file():
            self._wrong(f"{key}.jwks_file", f"there is no file {self._home / file}.")
        return TrustedIssuer(
            url=url,
            profile=profile,
            audiences=self._audiences(f"{key}.audiences", block.get("audiences", {})),
            discovery=named or f"{url.rstrip('/')}/.well-known/openid-configuration",
            jwks_file=self._home / file if file else None,
        )

    def federation(self, key: str, block: dict[str, Any]) -> Federation:
        names = ("principal", "issuer", "subject", "audience")
        self.refuse_others(key, block, names)
        return Federation(*(self._text(key, block, name) for name in names))

    def check_together(self, issuers: tuple[TrustedIssuer, ...], federations: tuple[Federation, ...]) -> None:
        urls = [one.url for one in issuers]
        if doubles := sorted({url for url in urls if urls.count(url) > 1}):
            self._wrong("issuer", f"{doubles[0]} stands there twice; keep one block.")
        for index, one in enumerate(federations):
            if one.issuer and one.issuer not in urls:
                self._wrong(f"federation[{index}].issuer", f"no [[issuer]] has the url {one.issuer}; add one.")

    def refuse_others(self, key: str, block: dict[str, Any], known: tuple[str, ...]) -> None:
        for name in sorted(block.keys() - set(known)):
            self._wrong(f"{key}.{name}".lstrip("."), f"unknown key; known are: {', '.join(known)}.")

    def _audiences(self, key: str, block: Any) -> dict[str, frozenset[Audience]]:
        if not isinstance(block, dict):
            self._wrong(key, 'write what each is for: audiences.management = ["…"].')
            return {}
        self.refuse_others(key, block, get_args(Audience))
        found: dict[str, frozenset[Audience]] = {}
        for purpose in get_args(Audience):
            claims = block.get(purpose, [])
            if not isinstance(claims, list) or not all(isinstance(one, str) and one for one in claims):
                self._wrong(f"{key}.{purpose}", "must be a list of texts, as they stand in the claim aud.")
                continue
            for claim in claims:
                found[claim] = found.get(claim, frozenset()) | {purpose}
        return found

    def _text(self, key: str, block: dict[str, Any], name: str, default: str | None = None) -> str:
        found = block.get(name, default)
        if not isinstance(found, str) or (not found and default is None):
            self._wrong(f"{key}.{name}", "is missing." if found is None else "must be a text.")
            return ""
        return found

    def _address(self, key: str, url: str) -> str:
        """Keys that travel in the clear could be anybody's: http is for this machine alone."""
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            parts, host = urlsplit(""), None
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
        if url and not (host and is_safe and not parts.query and not parts.fragment and parts.username is None):
            self._wrong(key, f"{url} is no https address without a query.")
        return url

    def _wrong(self, key: str, message: str) -> None:
        self.problems.append(Problem(key, message))
