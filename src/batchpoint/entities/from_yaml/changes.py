"""``--set``, ``--add`` and ``--remove``: words of the command line become changes to a plain tree.

The CLI parses, the loader applies before it validates; it knows no noun and imports nothing heavy.
"""

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from batchpoint.errors import Problem, ValidationFailed

#: Steps from the root of a document: keys, and positions in lists.
KeyPath = tuple[str | int, ...]

_STEP = re.compile(r"""([^.\[\]=\s"']+)|\[(\d+)\]|\[["']([^"']*)["']\]""")
_PAIR = re.compile(
    r"""((?:[A-Za-z_$][\w$-]*|\[\d+\]|\[["'][^"']*["']\])(?:\.[\w$-]+|\[\d+\]|\[["'][^"']*["']\])*)=(.*)""", re.S
)


@dataclass(frozen=True)
class Assign:
    """``--set path=value``."""

    path: KeyPath
    value: object


@dataclass(frozen=True)
class Append:
    """``--add path value``."""

    path: KeyPath
    value: object


@dataclass(frozen=True)
class Remove:
    """``--remove path``; a position in a list is the last step of the path."""

    path: KeyPath


Change = Assign | Append | Remove


def parse_set(words: Sequence[str], *, force_string: bool = False) -> tuple[Change, ...]:
    """``a.b=c d.e f``: pairs joined by ``=`` or by a space become assignments."""
    found: list[Change] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        pair = _PAIR.fullmatch(word)
        if pair:
            found.append(Assign(key_path(pair[1], "--set"), _value(pair[2], force_string)))
        elif not rest or "=" in word:
            raise _misused(
                "--set", word, f"write --set <key>=<value>, for example --set {word.partition('=')[0]}=value"
            )
        else:
            found.append(Assign(key_path(word, "--set"), _value(rest.pop(0), force_string)))
    return tuple(found)


def parse_add(words: Sequence[str], *, force_string: bool = False) -> tuple[Change, ...]:
    """``path key=value …`` appends one block, or adds it to a map; ``path text …`` or JSON appends each value."""
    if len(words) < 2:
        raise _misused("--add", " ".join(words), "write --add <list> <key>=<value>, or --add <list> <text or JSON>")
    path = key_path(words[0], "--add")
    block: dict[str, object] = {}
    values: list[object] = []
    for word in words[1:]:
        pair = _PAIR.fullmatch(word)
        if pair:
            block[pair[1]] = _value(pair[2], force_string)
        else:
            values.append(_value(word, force_string))
    return tuple(Append(path, value) for value in ([block] if block else []) + values)


def parse_remove(words: Sequence[str]) -> tuple[Change, ...]:
    """``path`` removes a key, ``path index`` one value of a list."""
    if len(words) == 1:
        return (Remove(key_path(words[0], "--remove")),)
    if len(words) == 2 and words[1].lstrip("-").isdigit():
        return (Remove((*key_path(words[0], "--remove"), int(words[1]))),)
    raise _misused("--remove", " ".join(words), "write --remove <key>, or --remove <list> <position>")


def key_path(text: str, flag: str = "--set") -> KeyPath:
    """``a.b[0]["c.d"]`` as steps."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            raise _misused(flag, text, 'a key is written a.b, a list\'s value a.b[0], a key with dots a["b.c"]')
        steps.append(int(found[2]) if found[2] is not None else found[1] if found[1] is not None else found[3])
        at = found.end()
        if at < len(text) and text[at] == ".":
            at += 1
    if not steps:
        raise _misused(flag, text, "a key is missing")
    return tuple(steps)


def dotted(path: KeyPath) -> str:
    """Steps as people write them."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def apply(tree: dict[str, object], changes: Sequence[Change]) -> dict[str, object]:
    """A copy of ``tree`` with every change made, or ValidationFailed naming each change that cannot be."""
    changed = copy.deepcopy(tree)
    problems: list[Problem] = []
    for change in changes:
        try:
            _make(changed, change)
        except ValidationFailed as error:
            problems.extend(error.problems)
    if problems:
        raise ValidationFailed("changes", tuple(problems))
    return changed


def _value(text: str, force_string: bool) -> object:
    """JSON blocks, lists, quoted text and null are read; anything else stays text, and the schema decides."""
    if force_string or not (text.strip() == "null" or text.lstrip().startswith(("{", "[", '"'))):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _misused(flag: str, word: str, advice: str) -> ValidationFailed:
    return ValidationFailed("command line", (Problem(f"{flag} {word}".strip(), advice),))


def _make(tree: dict[str, object], change: Change) -> None:
    if isinstance(change, Remove):
        _remove(tree, change.path)
    elif isinstance(change, Append):
        holder, last = _holder(tree, change.path, "--add")
        there = _get(holder, last)
        if there is None:
            _put(holder, last, [change.value], change.path, "--add")
        elif isinstance(there, list):
            there.append(change.value)
        elif isinstance(there, dict) and isinstance(change.value, dict):
            there.update(change.value)
        else:
            raise _refused("--add", change.path, "it is not a list; use --set")
    else:
        holder, last = _holder(tree, change.path, "--set")
        _put(holder, last, change.value, change.path, "--set")


def _refused(flag: str, path: KeyPath, why: str) -> ValidationFailed:
    return ValidationFailed("changes", (Problem(f"{flag} {dotted(path)}", why),))


def _holder(tree: dict[str, object], path: KeyPath, flag: str) -> tuple[object, str | int]:
    """The block or list that holds the last step; blocks that are missing on the way are made."""
    here: object = tree
    for depth, step in enumerate(path[:-1], start=1):
        below = _get(here, step)
        if below is None:
            below = {}
            _put(here, step, below, path, flag)
        if not isinstance(below, dict | list):
            raise _refused(
                flag,
                path,
                f'{dotted(path[:depth])} is the text "{below}", nothing can be set below it;'
                f" set {dotted(path[:depth])} itself, or write it as a block",
            )
        here = below
    return here, path[-1]


def _position(step: str | int) -> int | None:
    if isinstance(step, int):
        return step
    return int(step) if step.isascii() and step.isdigit() else None


def _get(holder: object, step: str | int) -> object:
    if isinstance(holder, dict):
        return holder.get(str(step))
    at = _position(step)
    if isinstance(holder, list) and at is not None and -len(holder) <= at < len(holder):
        return holder[at]
    return None


def _put(holder: object, step: str | int, value: object, path: KeyPath, flag: str) -> None:
    if isinstance(holder, dict):
        holder[str(step)] = value
        return
    at = _position(step)
    if not isinstance(holder, list) or at is None:
        raise _refused(flag, path, f'"{step}" is no position in a list; write its number, from 0')
    if at == len(holder):
        holder.append(value)
    elif -len(holder) <= at < len(holder):
        holder[at] = value
    else:
        raise _refused(flag, path, f"the list has {len(holder)} values; there is none at {at}")


def _remove(tree: dict[str, object], path: KeyPath) -> None:
    here: object = tree
    for step in path[:-1]:
        here = _get(here, step)
    last = path[-1]
    if isinstance(here, dict) and str(last) in here:
        del here[str(last)]
        return
    at = _position(last)
    if isinstance(here, list) and at is not None and -len(here) <= at < len(here):
        del here[at]
        return
    raise _refused("--remove", path, "there is nothing of that name to remove")
