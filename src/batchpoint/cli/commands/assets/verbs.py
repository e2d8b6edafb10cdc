"""The verbs that every versioned noun has: show, list, update, archive, restore, delete.

The module of each noun makes its commands with it and adds those of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from batchpoint.cli import documents, listing
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import EDITS, FILE, NO_WAIT, SET, YES, Command, Flag, named
from batchpoint.errors import CommandLineInvalid, NotSupported

if TYPE_CHECKING:
    from batchpoint.client import Client
    from batchpoint.client.assets import Assets
    from batchpoint.entities.assets import Code, Environment, Model
    from batchpoint.entities.data import DataAsset

A = TypeVar("A", bound="Model | DataAsset | Environment | Code")

#: Where everything that is uploaded goes.
_OWN_DATASTORE = "workspaceblobstore"

REGISTRY = Flag("--registry-name", "Not offered: there are no shared registries here.", "NAME", hidden=True)
_TAGS = Flag("--tags", "Tags; default none.", "KEY=VALUE", many=True)
DESCRIBED = (Flag("--description", "What it is for; default none.", "TEXT"), _TAGS)
_LABEL = Flag("--label -l", "latest: the version created last. No default.", "LABEL")
ONE_VERSION = (Flag("--version -v", "Version; this or --label is needed.", "VERSION"), _LABEL, REGISTRY)
_ALL_VERSIONS = (Flag("--version -v", "Version; default all versions.", "VERSION"), _LABEL, REGISTRY)


def creating(what: str) -> tuple[Flag, ...]:
    """What every ``create`` of a versioned noun takes."""
    return (
        FILE,
        named(what, required=False),
        Flag("--version -v", "Version; default the next number.", "VERSION"),
        *DESCRIBED,
        Flag("--datastore", "Accepted; default, and always, the workspace's own datastore.", "NAME"),
        SET,
        NO_WAIT,
        REGISTRY,
    )


def path_given(call: Call) -> dict[str, Any]:
    """The path, however the flag for it is spelled."""
    given = call.given("path", "local_path", "model_uri", "paths")
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise CommandLineInvalid(f"{names} name two paths; keep one of them")
    return {"path": next(iter(given.values()))} if given else {}


def refuse_registry(call: Call) -> None:
    """NotSupported for ``--registry-name``."""
    name = call.flags.registry_name
    if name:
        raise NotSupported(
            f"There are no shared registries here, so none is called {name}. Leave out --registry-name: the workspace "
            "is meant then.",
            target=name,
        )


def say_of_datastore(call: Call) -> None:
    """That ``--datastore`` leads nowhere else."""
    name = call.flags.datastore
    if name and name.removeprefix("azureml:") != _OWN_DATASTORE:
        call.warn(f"--datastore {name} is left out: what is uploaded goes to {_OWN_DATASTORE}, the workspace's own")


def which(call: Call) -> tuple[str | None, str | None]:
    """The version and the label that were given: one of them. CommandLineInvalid for none and for both."""
    refuse_registry(call)
    version, label = call.flags.version, call.flags.label
    if (version is None) == (label is None):
        raise CommandLineInvalid("name exactly one of --version and --label (--label latest)")
    return version, label


def _which_or_all(call: Call) -> tuple[str | None, str | None]:
    refuse_registry(call)
    version, label = call.flags.version, call.flags.label
    if version is not None and label is not None:
        raise CommandLineInvalid("--version and --label name two versions; keep one of them, or none for all versions")
    return version, label


@dataclass(frozen=True)
class Versioned(Generic[A]):
    """The commands of one versioned noun."""

    #: First word of its commands, and the noun in sentences.
    word: str
    what: str
    #: Where a client keeps it.
    assets: "Callable[[Client], Assets[A]]"

    def show(self, call: Call) -> object:
        version, label = which(call)
        return self.assets(call.client).get(call.flags.name, version=version, label=label)

    def list(self, call: Call) -> object:
        """Each name with its latest version, or the versions of one name."""
        return listing.shortened(call, self.found(call))

    def found(self, call: Call) -> "Sequence[A]":
        """What ``list`` is about, before it is cut."""
        refuse_registry(call)
        listing.limit(call)
        return self.assets(call.client).list(call.flags.name, listing.view(call))

    def update(self, call: Call) -> object:
        """Change what may be changed of a version."""
        version, label = which(call)
        current = self.assets(call.client).get(call.flags.name, version=version, label=label)
        return self.assets(call.client).update(documents.updated(call, current, _edited(call)))

    def archive(self, call: Call) -> None:
        version, label = _which_or_all(call)
        self.assets(call.client).archive(call.flags.name, version, label)

    def restore(self, call: Call) -> None:
        version, label = _which_or_all(call)
        self.assets(call.client).archive(call.flags.name, version, label, archived=False)

    def delete(self, call: Call) -> None:
        """Forget a version, or all of them; jobs that have started keep what they started with."""
        version, label = _which_or_all(call)
        one = f"version {version}" if version else f"the {label} version" if label else "all versions"
        call.remove(
            f"Delete {one} of {self.what} {call.flags.name}? Jobs that have started keep what they started with.",
            lambda: self.assets(call.client).delete(call.flags.name, version, label),
        )

    def showing(self) -> tuple[Command, ...]:
        """``show``."""
        line = f"{self.word} show --name NAME --label latest"
        return (Command(f"{self.word} show", f"Show a version of a {self.what}.", self.show, self._one(), line),)

    def listed(self, run: Callable[[Call], object] | None = None, flags: tuple[Flag, ...] = ()) -> Command:
        """``list``, with a function and flags of the noun's own where it has them."""
        shared = (
            Flag(
                "--name -n", "List the versions of this one; default each name once.", "NAME", of=self.what.split()[0]
            ),
            listing.most(),
            *listing.ARCHIVED,
            REGISTRY,
        )
        line = f"{self.word} list --query [].name -o tsv"
        return Command(f"{self.word} list", f"List {self.what}s.", run or self.list, (*shared, *flags), line)

    def changing(self, flags: tuple[Flag, ...] = ()) -> tuple[Command, ...]:
        """``update``, ``archive``, ``restore`` and ``delete``; ``flags`` are further ones of ``update``."""
        word, what = self.word, self.what
        several = (named(what), *_ALL_VERSIONS)
        return (
            Command(
                f"{word} update",
                f"Change description, tags and the like of a {what}; its content stays.",
                self.update,
                (*self._one(), *DESCRIBED, *flags, *EDITS, NO_WAIT),
                example=f"{word} update --name NAME --version 1 --set tags.stage=prod",
            ),
            Command(
                f"{word} archive",
                f"Hide a {what} from lists; it can still be used.",
                self.archive,
                several,
                example=f"{word} archive --name NAME --version 1",
            ),
            Command(
                f"{word} restore",
                f"Show an archived {what} in lists again.",
                self.restore,
                several,
                example=f"{word} restore --name NAME --version 1",
            ),
            Command(
                f"{word} delete",
                f"Delete a version of a {what}, or all versions; running jobs keep theirs.",
                self.delete,
                (*several, YES, NO_WAIT),
                example=f"{word} delete --name NAME --version 1 --yes",
            ),
        )

    def _one(self) -> tuple[Flag, ...]:
        return (named(self.what), *ONE_VERSION)


def _edited(call: Call) -> dict[str, Any]:
    return documents.described(call) | call.given("stage")
