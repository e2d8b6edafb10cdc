"""Owns what an environment asks for: from the Environment entity to a Python version and a list of requirements.

Pure; the builder carries it out. A requirement is untrusted text: it leaves here only as what the packaging library
parsed and wrote anew, so that it can never become an option of an installer.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from batchpoint.entities.assets import Environment
from batchpoint.entities.naming.credentials import masked, secrets_in, texts_in
from batchpoint.environments.conda.dependencies import CondaPackage, channel_of, read_channels, read_item
from batchpoint.environments.interpreters import OLDEST_PYTHON
from batchpoint.errors import NotSupported

#: Changes when the same document has to be built differently.
_RECIPE = 1
#: Served by the worker's own shims, or needed by the original service alone.
_SERVED_HERE = frozenset({"azureml-core", "azureml-dataset-runtime", "azureml-defaults"})
_CONDA_ITEM = re.compile(r"^(?:\S+::)?(?P<name>[A-Za-z0-9_.\-]+)\s*(?P<spec>[=<>!~ ].*)?$", re.DOTALL)
_EXACT = re.compile(r"^={0,2}\s*(?P<version>\d{1,9}(?:\.\d{1,9}){0,2})(?:\.?\*)?(?:=.*)?$")
#: Characters of a line that a message quotes.
_SHOWN = 300
_ARCHIVES = (".whl", ".zip", ".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".tbz", ".txz", ".egg")
_INDEX_OPTIONS = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}


@dataclass(frozen=True)
class EnvironmentSpec:
    """What to build."""

    #: Minor version, ``3.6``; None when none is asked for or when a range is.
    python_version: str | None
    #: The same as people wrote it, ``3.6.2`` or ``>=3.8``; empty when none is asked for.
    python_wanted: str
    #: Requirements for the installer, normalised and sorted.
    requirements: tuple[str, ...]
    #: Package indexes that the conda file names, as ``--extra-index-url=https://…``.
    index_options: tuple[str, ...]
    #: Sentences about what was left out or read differently.
    notes: tuple[str, ...]
    #: Equal for equal environments; the name of the folder that it is built in.
    content_hash: str
    #: Packages of conda channels, Python among them; none where the file asks for no more than Python and pip.
    conda: tuple[CondaPackage, ...] = ()
    #: Channels to take them from, names and addresses, the first first.
    channels: tuple[str, ...] = ()
    #: What must never be written anywhere: credentials in the conda file.
    secrets: tuple[str, ...] = ()


def read_spec(environment: Environment) -> EnvironmentSpec:
    """What ``environment`` asks for. Raises NotSupported with what to do instead."""
    try:
        return _read(environment)
    except NotSupported as error:
        # Lines are quoted, and an address in them may hold a password.
        raise NotSupported(masked(error.message), target=error.target) from error


def needs_container(environment: Environment) -> bool:
    """Whether only a container runtime can make it: a build context, or an image and no packages."""
    if environment.python:
        return False
    return environment.build is not None or (environment.image is not None and environment.conda_file is None)


def _read(environment: Environment) -> EnvironmentSpec:
    _refuse_what_needs_containers(environment)
    found = _CondaFile(environment.conda_file or {})
    found.read()
    notes = [*found.notes]
    if environment.image:
        notes.insert(
            0,
            f"The image {environment.image} is not used: scripts run without containers here; packages come from the "
            "conda file.",
        )
    requirements = tuple(sorted(set(found.requirements)))
    recipe: list[Any] = [_RECIPE, found.python_wanted, requirements, found.index_options]
    if found.conda:
        recipe += [found.channels, sorted((one.channel, one.match) for one in found.conda)]
    return EnvironmentSpec(
        python_version=found.python_version,
        python_wanted=found.python_wanted,
        requirements=requirements,
        index_options=tuple(found.index_options),
        notes=tuple(masked(note) for note in notes),
        content_hash=hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:24],
        conda=tuple(found.conda),
        channels=found.channels,
        secrets=secrets_in(texts_in(environment.conda_file)),
    )


def _refuse_what_needs_containers(environment: Environment) -> None:
    instead = (
        "Add a conda_file with the Python version and the packages, name an existing interpreter with "
        "'python: /path/to/venv', or leave 'environment' out to use the Python that Batchpoint runs on."
    )
    if environment.build is not None:
        raise NotSupported(f"'build' needs a container runtime, which is not used here. {instead}", target="build")
    if environment.os_type != "linux":
        raise NotSupported(f"os_type {environment.os_type!r} is not served, only 'linux'.", target="os_type")
    if needs_container(environment) or environment.conda_file is None:
        what = (
            f"names only the image {environment.image!r}" if environment.image else "names neither packages nor Python"
        )
        raise NotSupported(
            f"The environment {what}, and no container runtime is used here. {instead}", target="environment.conda_file"
        )


class _CondaFile:
    """One reading of a conda file."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.python_version: str | None = None
        self.python_wanted = ""
        self.requirements: list[str] = []
        self.index_options: list[str] = []
        self.notes: list[str] = []
        self.conda: list[CondaPackage] = []
        self.channels: tuple[str, ...] = ()
        self._python_item = CondaPackage("python", ">=3.6")
        self._pip_item: CondaPackage | None = None

    def read(self) -> None:
        dependencies = self._document.get("dependencies") or []
        if not isinstance(dependencies, list):
            raise NotSupported(
                f"'dependencies' of the conda file must be a list, not {dependencies!r}.", target="dependencies"
            )
        for item in dependencies:
            if isinstance(item, str):
                self._conda_item(item.strip())
            elif isinstance(item, dict) and set(item) == {"pip"} and isinstance(item["pip"], list | None):
                for line in item["pip"] or []:
                    self._pip_line(line)
            else:
                raise NotSupported(
                    f"The conda file's dependency {item!r} cannot be read. Write a string, or '- pip:' with a list.",
                    target="dependencies",
                )
        if self.conda:
            self.channels, notes = read_channels(self._document)
            self.notes += notes
            self.conda += [self._python_item, *filter(None, [self._pip_item])]

    def _conda_item(self, item: str) -> None:
        package = read_item(item)
        package = replace(package, channel=channel_of(package.channel))
        if package.name == "python":
            match = _CONDA_ITEM.match(item)
            self._python(((match["spec"] if match else "") or "").strip())
            self._python_item = package
        elif package.name == "pip":
            self._pip_item = package
        else:
            self.conda.append(package)

    def _python(self, wanted: str) -> None:
        if not wanted or wanted == "*":
            return
        exact = _EXACT.match(wanted)
        if exact:
            version = exact["version"].split(".")
            self.python_version = ".".join(version[:2]) if len(version) > 1 else None
            self.python_wanted = exact["version"] if len(version) > 1 else f"=={exact['version']}.*"
            if tuple(map(int, [*version, "9"][:2])) < OLDEST_PYTHON:
                raise NotSupported(
                    f"The conda file wants Python {exact['version']}; scripts need 3.6 or later. Raise the version.",
                    target="python",
                )
            return
        self.python_wanted = wanted.replace(" ", "")
        try:
            SpecifierSet(self.python_wanted)
        except InvalidSpecifier as error:
            raise NotSupported(
                f"The conda file's 'python{wanted}' cannot be read. Write it as python=3.11 or python>=3.8.",
                target="python",
            ) from error

    def _pip_line(self, line: object) -> None:
        text = str(line).strip()
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise NotSupported(
                f"The pip requirement {text!r} holds control characters. Write one package per line.", target="pip"
            )
        text = re.sub(r"(^|\s)#.*$", "", text).strip()
        if text.startswith("-"):
            self._pip_option(text)
        elif text:
            self._requirement(text)

    def _pip_option(self, text: str) -> None:
        option, _, value = text.replace("=", " ", 1).partition(" ")
        known = _INDEX_OPTIONS.get(option)
        value = value.strip()
        if known is None:
            raise NotSupported(
                f"The pip line {text!r} is not supported in a conda file. List the packages themselves; "
                "of the options only --index-url, --extra-index-url and --find-links are read.",
                target="pip",
            )
        if urlsplit(value).scheme not in ("https", "http") or re.search(r"\s", value):
            raise NotSupported(f"The pip line {text!r} must name one https URL.", target="pip")
        self.index_options.append(f"{known}={value}")

    def _requirement(self, text: str) -> None:
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError) as error:
            raise NotSupported(_why_no_requirement(text), target="pip") from error
        # x-1.0.whl parses as a name, and an installer would open it as a file.
        if requirement.name.lower().endswith(_ARCHIVES):
            raise NotSupported(_why_no_requirement(requirement.name), target="pip")
        name = canonicalize_name(requirement.name)
        if name in _SERVED_HERE:
            self.notes.append(f"{text} is not installed: what scripts use of it comes with the worker.")
            return
        if requirement.url and urlsplit(requirement.url).scheme not in ("https", "http", "git+https"):
            raise NotSupported(
                f"The pip requirement {text!r} points to a place that is not served. "
                "Use a https or git+https URL, or a package index.",
                target="pip",
            )
        self.requirements.append(str(requirement))


def _why_no_requirement(text: str) -> str:
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
    if re.match(r"^(git|hg|svn|bzr)\+|^https?:", text):
        return (
            f"The pip requirement {text!r} is a bare URL. Write it with the package's name in front: 'name @ {text}'."
        )
    if text.startswith((".", "/", "~", "file:")) or text.lower().endswith(_ARCHIVES):
        return (
            f"The pip requirement {text!r} is a path, and the file is not on the machine that builds the environment. "
            "Put the package on a package index, or its modules into the code folder."
        )
    return f"The pip requirement {text!r} cannot be read. Write it as name, name==1.2 or name>=1.2,<2."
