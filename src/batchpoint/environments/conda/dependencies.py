"""Owns how the channels and packages of a conda file are read. Pure; the spec calls it.

It knows how conda writes things, and nothing about where packages are.
"""

import re
from dataclasses import dataclass
from typing import Any

from batchpoint.errors import NotSupported

#: What the vendor's own channels are called; the same packages are on the community's.
_VENDOR = frozenset({"defaults", "main", "anaconda", "pkgs/main", "pkgs/free", "pkgs/r"})
_COMMUNITY = "conda-forge"
_NO_DEFAULTS = "nodefaults"
#: Channels that everybody may read, and whose names for packages are those of the public Python index.
PUBLIC = frozenset(
    {"conda-forge", "pytorch", "nvidia", "bioconda", "intel", "rapidsai", "fastai", "huggingface", "dglteam", "pyg"}
)
_ITEM = re.compile(
    r"^(?:(?P<channel>\S+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.\-]*)\s*(?P<rest>[=<>!~ \[].*)?$", re.DOTALL
)
_BRACKETS = re.compile(r"(?P<key>version|build)\s*=\s*(?P<quote>['\"]?)(?P<value>[^'\"\]]+?)(?P=quote)\s*(?:,|$)")
_PREFIX = re.compile(r"^={0,2}(?P<release>\d+(?:\.\d+)*)\.?\*$")
_RELATION = re.compile(r"^[=<>!~]")
#: Characters of a line; nobody needs more, and some texts take longer to read than they are.
_LONGEST = 1000
_VERSION = re.compile(r"^(?:(?:^|[,|])[=<>!~]{0,2}[A-Za-z0-9_.*+\-][A-Za-z0-9_.*+!\-]*)*$")
_BUILD = re.compile(r"^[A-Za-z0-9_.*+\-]*$")


@dataclass(frozen=True)
class CondaPackage:
    """One package that a conda file names."""

    name: str
    #: As conda compares versions, ``=1.2``, ``>=1,<2``, ``==1.2.3``; empty for any.
    version: str = ""
    #: ``py37_0``, ``*cuda*``; empty for any.
    build: str = ""
    #: A name or an address; empty for those of the file.
    channel: str = ""
    #: As people wrote it.
    written: str = ""

    @property
    def match(self) -> str:
        """How a solver is asked for it, but for the channel."""
        return " ".join(filter(None, (self.name, self.version or ("*" if self.build else ""), self.build)))


def read_item(item: str) -> CondaPackage:
    """What one line of ``dependencies`` names. Raises NotSupported for what conda would not understand either."""
    found = _ITEM.match(item) if len(item) <= _LONGEST else None
    if found is None:
        raise NotSupported(_unreadable(item), target="dependencies")
    rest = (found["rest"] or "").strip()
    version, build = _bracketed(rest) if rest.startswith("[") else _versions(rest)
    if not (_VERSION.match(version) and _BUILD.match(build)):
        raise NotSupported(_unreadable(item), target="dependencies")
    return CondaPackage(found["name"].lower(), version, build, found["channel"] or "", item)


def _bracketed(rest: str) -> tuple[str, str]:
    told = {match["key"]: match["value"].strip() for match in _BRACKETS.finditer(rest.strip("[]"))}
    return _comparing(told.get("version", "").replace(" ", "")), told.get("build", "")


def _versions(rest: str) -> tuple[str, str]:
    """``=1.2=py37_0``, ``1.2 py37_0``, ``>=1, <2``."""
    if rest.startswith("=") and not rest.startswith("==") and rest.count("=") == 2 and rest[-2:] != "==":
        version, _, build = rest[1:].partition("=")
        return f"=={version.strip()}", build.strip()
    joined = re.sub(r"\s*([,|])\s*", r"\1", re.sub(r"([=<>!~])\s+", r"\1", rest))
    version, _, build = joined.partition(" ")
    return _comparing(version), build.strip()


def _comparing(version: str) -> str:
    if version in ("", "*", "=*", "==*"):
        return ""
    if prefix := _PREFIX.match(version):
        return f"={prefix['release']}"
    return version if _RELATION.match(version) or "*" in version or "|" in version else f"=={version}"


def _unreadable(item: str) -> str:
    return (
        f"The conda file's dependency {item[:_LONGEST]!r} cannot be read. Write it as name, name=1.2 or name>=1.2,<2."
    )


def read_channels(document: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels in their order, and sentences about those that are taken for others.

    A file without channels is meant for the vendor's own.
    """
    written = document.get("channels") or []
    if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
        raise NotSupported(f"'channels' of the conda file must be a list of names, not {written!r}.", target="channels")
    named = [one.strip() for one in written if one.strip() and one.strip() != _NO_DEFAULTS] or ["defaults"]
    taken = [_COMMUNITY if is_vendor(one) else one for one in named]
    notes = [
        f"The conda channel {one} is not asked: its packages are taken from {_COMMUNITY}."
        for one in dict.fromkeys(named)
        if is_vendor(one)
    ]
    return tuple(dict.fromkeys(taken)), tuple(notes)


def channel_of(name: str) -> str:
    """A channel that is named with a package, the vendor's own replaced."""
    return _COMMUNITY if is_vendor(name) else name


def is_vendor(channel: str) -> bool:
    """Whether it is one of the channels of the company behind conda, by its name or its address."""
    last = re.sub(r"^https?://(?:repo\.anaconda\.com|repo\.continuum\.io|conda\.anaconda\.org)/", "", channel)
    return last.strip("/").lower() in _VENDOR


def is_public(channel: str) -> bool:
    """Whether its packages may be looked for elsewhere by name: of others, somebody else may own the name there."""
    last = re.sub(r"^https?://conda\.anaconda\.org/", "", channel)
    return last.strip("/").lower() in PUBLIC


def address(channel: str, alias: str) -> str:
    """The URL of a channel that is named or addressed."""
    return channel.rstrip("/") if "://" in channel else f"{alias.rstrip('/')}/{channel.strip('/')}"
