"""A YAML file as a plain tree, with the line of every key.

The loader reads nouns and conda files through it; it knows YAML and its traps, and nothing about nouns.
"""

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from batchpoint.entities.from_yaml.changes import KeyPath, dotted
from batchpoint.errors import Problem, ValidationFailed

#: Far above any file that a person writes; an alias counts each time it is used.
MAX_BYTES = 1 << 20
MAX_VALUES = 20_000

_TAG = "tag:yaml.org,2002:"
_NUMBERS = frozenset({f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool"})
_TEXTS = frozenset({f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}binary"})


class Scalar(str):
    """A number or truth value as it was written, so that ``version: 1.10`` keeps its zero."""

    #: What YAML takes it for; used where a key has no type of its own.
    value: int | float | bool

    def __new__(cls, text: str, value: int | float | bool) -> "Scalar":
        scalar = super().__new__(cls, text)
        scalar.value = value
        return scalar

    def __deepcopy__(self, memo: object) -> "Scalar":
        return self


@dataclass
class Document:
    """What a file says."""

    tree: dict[str, object] = field(default_factory=dict)
    #: Path of a key or list value → its line, from 1.
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: False when the file could not be read as a whole; ``tree`` is then empty.
    readable: bool = True


def read_document(path: Path) -> Document:
    """The document in ``path``; whatever is wrong with it stands in ``problems``."""
    try:
        return _Reader().document(_text_of(path))
    except ValidationFailed as error:
        return Document(problems=list(error.problems), readable=False)


def typed(value: object) -> object:
    """``value`` with numbers and truth values as YAML takes them."""
    if isinstance(value, dict):
        return {key: typed(below) for key, below in value.items()}
    if isinstance(value, list):
        return [typed(below) for below in value]
    return value.value if isinstance(value, Scalar) else value


def _unreadable(message: str, line: int | None = None) -> ValidationFailed:
    """Nothing of this file can be used."""
    return ValidationFailed("YAML", (Problem("", message, line),))


def _text_of(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except FileNotFoundError:
        raise _unreadable(f"there is no such file; looked for {path.absolute()}") from None
    except IsADirectoryError:
        raise _unreadable("this is a folder; name the YAML file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable(f"the file cannot be read: {reason}") from None
    if raw is None:
        raise _unreadable(f"the file is larger than {MAX_BYTES >> 20} MiB; that is no file of settings")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _unreadable("the file is not UTF-8 text; save it as UTF-8", line) from None


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self) -> None:
        self.found = Document()
        self._values = 0
        self._open: set[int] = set()

    def document(self, text: str) -> Document:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            tree = {} if node is None else self._value(node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise _unreadable(_yaml_sentence(error), mark.line + 1 if mark else None) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise _unreadable("this line holds a control character that YAML does not allow; remove it", line) from None
        except RecursionError:
            raise _unreadable("the file is nested too deeply") from None
        if node is None or tree is None:
            raise _unreadable("the file is empty; it has to hold keys with values, such as name: my-name")
        if not isinstance(tree, dict):
            raise _unreadable(f"the file is {_spoken(tree)}; it has to be keys with values, such as name: my-name", 1)
        self.found.tree = tree
        return self.found

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        line = node.start_mark.line + 1
        self._values += 1
        if self._values > MAX_VALUES:
            raise _unreadable(f"the file has more than {MAX_VALUES} values (an alias counts each time)")
        if id(node) in self._open:
            raise _unreadable("this alias contains itself", line)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
                return self._sequence(node, path)
            return self._scalar(node, path, line)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        merged: dict[str, object] = {}
        own: dict[str, object] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                self._merge(value_node, path, merged)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(path, "a key has to be text, not a block or a list", line)
                continue
            key = str(key_node.value)
            at = (*path, key)
            if key in own:
                self._problem(at, f"this key stands twice, first on line {first[key]}; keep one of them", line)
                continue
            first[key] = line
            own[key] = self._value(value_node, at)
            self.found.lines[at] = line
        return merged | own

    def _merge(self, node: yaml.Node, path: KeyPath, merged: dict[str, object]) -> None:
        for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            value = self._value(one, path)
            if isinstance(value, dict):
                merged.update({key: below for key, below in value.items() if key not in merged})
            else:
                self._problem(path, "<< has to name a block", one.start_mark.line + 1)

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[object]:
        values = []
        for position, below in enumerate(node.value):
            at = (*path, position)
            self.found.lines[at] = below.start_mark.line + 1
            values.append(self._value(below, at))
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath, line: int) -> object:
        text = str(node.value)
        if node.tag == f"{_TAG}null":
            return None
        if node.tag in _NUMBERS and isinstance(node, yaml.ScalarNode):
            return _number(node, text)
        if node.tag not in _TEXTS:
            self._problem(path, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed here; remove it", line)
            return None
        return text

    def _problem(self, path: KeyPath, message: str, line: int) -> None:
        self.found.problems.append(Problem(dotted(path), message, line))


def _number(node: yaml.ScalarNode, text: str) -> str:
    """A Scalar, or plain text where YAML's pattern matches but the value makes no number."""
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
    except (ValueError, KeyError, IndexError, yaml.YAMLError):
        return text
    if not isinstance(value, int | float) or value != value or value in (float("inf"), float("-inf")):
        return text
    return Scalar(text, value)


def _spoken(value: object) -> str:
    return "a list" if isinstance(value, list) else "a single value"


def _yaml_sentence(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "expected a single document" in (error.context or ""):
        return "the file holds several documents; keep one, and remove the line ---"
    if "mapping values are not allowed" in problem:
        return (
            "not YAML: a second colon stands in this line, or the line is indented too far; quote the value or mend it"
        )
    return f"not YAML: {problem}"
