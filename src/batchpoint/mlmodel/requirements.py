"""The pip lines that a model folder keeps: in one list, with the files that they refer to inside the folder opened.

``environment`` calls it. What a line means is the builder's business; nothing is installed or looked up here.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from batchpoint.errors import Problem, ValidationFailed
from batchpoint.mlmodel.folder import file_inside

MAX_BYTES = 1 << 20
_DEEPEST, _MOST = 8, 100
_REFERS = re.compile(r"(?P<option>-r|--requirement|-c|--constraint)(?:\s+|=)(?P<name>\S.*)")
#: One space alone: looking for more would cost the square of their number.
_HASHES = re.compile(r"\s--hash[= ]\S+")
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass
class PipLines:
    """Lines as pip reads them; what other files of the folder say stands in their place."""

    folder: Path
    #: One requirement or option each.
    lines: list[str] = field(default_factory=list)
    #: Canonical name → the limits that constraints set.
    limits: dict[str, str] = field(default_factory=dict)
    #: Sentences about lines that are read differently.
    notes: list[str] = field(default_factory=list)
    #: Files that were opened: a few that name each other several times would multiply.
    _opened: int = 0

    def add(self, line: str, beside: Path, depth: int = 0) -> None:
        """Take up one line that stands in the file ``beside``. Raises ValidationFailed for one that leads nowhere."""
        text = " ".join(_HASHES.sub("", _COMMENT.sub("", line)).split())
        refers = _REFERS.fullmatch(text)
        if refers is None:
            self.lines += [self._by_name(text)] if text else []
            return
        path = self._beside(refers["name"].strip(), beside, text)
        self._opened += 1
        most = _DEEPEST if depth == _DEEPEST else _MOST
        if depth == _DEEPEST or self._opened > _MOST:
            raise _wrong(beside, f"{text!r} leads through more than {most} files")
        if refers["option"] in ("-c", "--constraint"):
            self._limit(path)
            return
        for one in read_lines(path):
            self.add(one, path, depth + 1)

    def limited(self) -> list[str]:
        """The lines, each with what constraints say about it."""
        return [_limited(line, self.limits) for line in self.lines]

    def _by_name(self, text: str) -> str:
        """A wheel by its name and version: the environment is built where the model's folder need not be."""
        if not text.lower().endswith(".whl") or "://" in text:
            return text
        try:
            name, version, _, _ = parse_wheel_filename(text.rpartition("/")[2])
        except InvalidWheelFilename:
            return text
        self.notes.append(
            f"{text} of the model's folder is installed as {name}=={version}, from wheels_folder or a package index."
        )
        return f"{name}=={version}"

    def _beside(self, name: str, beside: Path, text: str) -> Path:
        path = file_inside(self.folder, name, beside.parent)
        if path is None:
            raise _wrong(beside, f"{text!r} names a file that is not in the model's folder; add it there")
        return path.resolve()

    def _limit(self, path: Path) -> None:
        for line in read_lines(path):
            try:
                limit = Requirement(_HASHES.sub("", _COMMENT.sub("", line)).strip())
            except (InvalidRequirement, RecursionError):
                continue
            if limit.specifier and not limit.url:
                self.limits[canonicalize_name(limit.name)] = str(limit.specifier)


def read_lines(path: Path) -> list[str]:
    """The lines of a requirements file, those that go on joined. Raises ValidationFailed for what is no such file."""
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
        text = None if raw is None else raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong(path, "the file is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise _wrong(path, f"the file cannot be read: {error.strerror}") from None
    if text is None:
        raise _wrong(path, f"the file is larger than {MAX_BYTES >> 20} MiB; that is no list of packages")
    return re.sub(r"\\\r?\n", " ", text).splitlines()


def name_of(line: str) -> str:
    """The canonical name of the package that a line asks for; empty for options and paths."""
    try:
        return canonicalize_name(Requirement(line).name)
    except (InvalidRequirement, RecursionError):
        # A marker in ten thousand parentheses.
        return ""


def _limited(line: str, limits: dict[str, str]) -> str:
    if (limit := limits.get(name_of(line))) is None:
        return line
    wanted = Requirement(line)
    if wanted.url:
        return line
    wanted.specifier &= limit
    return str(wanted)


def _wrong(path: Path, message: str) -> ValidationFailed:
    return ValidationFailed("model", (Problem("", message),), source=str(path))
