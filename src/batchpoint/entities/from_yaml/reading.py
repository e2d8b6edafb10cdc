"""One load in progress: where each value was written, and everything there is to say about it.

The steps of the loader share it; it knows no noun and touches no file.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from batchpoint.entities.from_yaml.changes import KeyPath, dotted
from batchpoint.errors import Problem

Source = Literal["file", "set", "flag"]

#: A value from a later source wins over the same setting from an earlier one.
RANK: dict[Source, int] = {"file": 0, "set": 1, "flag": 2}

#: Keys whose flag has another name than the key.
_FLAGS = {"build": "build_context", "build.path": "build_context", "build.dockerfile_path": "dockerfile_path"}


@dataclass(frozen=True)
class Origin:
    """Where the user wrote a value."""

    path: KeyPath
    source: Source = "file"

    def below(self, *steps: str | int) -> "Origin":
        return Origin((*self.path, *steps), self.source)


@dataclass
class Reading:
    """Grows while a document becomes a noun."""

    file: Path | None = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    #: Paths that ``--set`` and its kin touched.
    changed: tuple[KeyPath, ...] = ()
    #: Those of them that ``--add`` touched.
    added: tuple[KeyPath, ...] = ()
    check_script: bool = True
    #: True where the document is an existing noun: its references and paths are already resolved.
    amends: bool = False
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: Path in the noun → where it was written, for each value that was moved or came from elsewhere.
    origins: dict[KeyPath, Origin] = field(default_factory=lambda: {(): Origin(())})
    #: Parts of the noun that could not be built; a stand-in takes their place in checks.
    failed: set[KeyPath] = field(default_factory=set)

    def origin(self, at: KeyPath) -> Origin:
        """Where the value at ``at`` of the noun was written."""
        for length in range(len(at), -1, -1):
            known = self.origins.get(at[:length])
            if known:
                found = known.below(*at[length:])
                break
        return self.refined(found)

    def refined(self, origin: Origin) -> Origin:
        """``origin``, said to be ``--set`` where a change put the value there."""
        if origin.source == "file" and any(origin.path[: len(path)] == path for path in self.changed):
            return Origin(origin.path, "set")
        return origin

    def key(self, at: KeyPath) -> str:
        """The key as the user wrote it."""
        return self.written(self.origin(at))

    def written(self, origin: Origin) -> str:
        name = dotted(origin.path)
        if origin.source == "flag" and origin.path[0] == "tags":
            return " ".join(["--tags", *(str(step) for step in origin.path[1:])])
        if origin.source == "flag":
            name = _FLAGS.get(name, name)
            return "--" + name.removesuffix(".path").replace("_", "-").replace(".", "-")
        if origin.source != "set":
            return name
        is_added = any(origin.path[: len(path)] == path for path in self.added)
        return f"{'--add' if is_added else '--set'} {name}"

    def line(self, at: KeyPath) -> int | None:
        """The line of the value, or of the nearest block around it that has one."""
        return self.line_of(self.origin(at))

    def line_of(self, origin: Origin) -> int | None:
        if origin.source != "file":
            return None
        return next(
            (self.lines[origin.path[:n]] for n in range(len(origin.path), 0, -1) if origin.path[:n] in self.lines), None
        )

    def problem(self, at: KeyPath, message: str) -> None:
        self.problem_at(self.origin(at), message)

    def problem_at(self, origin: Origin, message: str) -> None:
        problem = Problem(self.written(origin), message, self.line_of(origin))
        if problem not in self.problems:
            self.problems.append(problem)

    def note(self, origin: Origin, message: str) -> None:
        line = self.line_of(origin)
        where = f"{self.file} line {line}: " if self.file and line else ""
        self.notes.append(f"{where}{self.written(origin)}: {message}")

    def is_kept(self, at: KeyPath) -> bool:
        """True for a value of an existing noun that nobody changed."""
        return self.amends and self.origin(at).source == "file"

    def folder(self, at: KeyPath) -> Path:
        """What a relative path at ``at`` is relative to: the file's folder, or for flags the current one."""
        if self.file is None or self.origin(at).source == "flag":
            return Path.cwd()
        return self.file.absolute().parent
