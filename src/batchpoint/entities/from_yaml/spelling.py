"""Every dialect's keys become the keys of the noun; unknown keys are reported with a suggestion.

``build`` calls it for each noun, inner ones included. The tables are the nouns' own; only shapes that no table can
express stand in ``shapes``.
"""

import difflib
from collections.abc import Iterator, Mapping

from batchpoint.entities.from_yaml.changes import KeyPath
from batchpoint.entities.from_yaml.fields import nested_noun
from batchpoint.entities.from_yaml.reading import RANK, Origin, Reading
from batchpoint.entities.from_yaml.sentences import shown
from batchpoint.entities.from_yaml.shapes import DATED_SHAPES, SHAPES, Shape
from batchpoint.entities.noun import Noun
from batchpoint.errors import UserError

Steps = tuple[str, ...]


class Speller:
    """Collects the values of one noun under the noun's own keys."""

    def __init__(self, noun: type[Noun], at: KeyPath, reading: Reading) -> None:
        self.noun = noun
        self.at = at
        self.reading = reading
        self.values: dict[str, object] = {}
        self._blocks = {key.rpartition(".")[0] for key in noun.spellings} - {""}
        self._blocks |= {block.partition(".")[0] for block in self._blocks}

    def read(self, mapping: Mapping[str, object]) -> None:
        """Take over everything that the user's block says."""
        # All origins first: placing one key may record where another one's value came from.
        for key, value, origin in [
            (key, value, self.reading.origin((*self.at, key))) for key, value in mapping.items()
        ]:
            self._place((key,), value, origin)

    def overrule(self, key: str, value: object) -> None:
        """Put a flag's value in place of whatever the file says."""
        steps = tuple(key.split("."))
        target = tuple(self.noun.spellings.get(key, key).split("."))
        holder: object = self.values
        for step in target[:-1]:
            holder = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.pop(target[-1], None)
        for path in [
            path for path in self.reading.origins if path[: len(self.at) + len(target)] == (*self.at, *target)
        ]:
            del self.reading.origins[path]
        self._place(steps, value, Origin(steps, "flag"))

    def _place(self, steps: Steps, value: object, origin: Origin) -> None:
        key = ".".join(steps)
        target = self.noun.spellings.get(key)
        shape = SHAPES.get((self.noun, key))
        if shape:
            self._reshape(key, shape, value, origin)
        elif target is not None:
            self._respell(key, target, value, origin)
        elif key in self._blocks and isinstance(value, dict):
            reported = len(self.reading.problems)
            for name, below in value.items():
                self._place((*steps, name), below, self.reading.refined(origin.below(name)))
            if len(self.reading.problems) > reported and key not in self.values:
                self.reading.failed.add((*self.at, key))  # its keys are reported; that it is missing adds nothing
        elif key in self.noun.output_only or key == "$schema":
            return
        elif key in self.noun.model_fields or (steps[0] in self.noun.model_fields and origin.source == "flag"):
            self._put(steps, value, origin)
        elif key in self._blocks:
            if value is not None:
                self.reading.problem_at(origin, f"{shown(value)} stands here, and a block of settings is wanted")
        else:
            self._unknown(key, origin)

    def _reshape(self, key: str, shape: tuple[str, Shape], value: object, origin: Origin) -> None:
        field, moves = shape
        if (self.noun, key) in DATED_SHAPES:
            self.reading.note(origin, "an older spelling, still read")
        try:
            for name, moved, below in moves(value):
                self._put(tuple(name.split(".")), moved, origin.below(*below))
        except UserError as error:
            self.reading.failed.add((*self.at, field))
            self.reading.problem_at(origin, error.message)

    def _respell(self, key: str, target: str, value: object, origin: Origin) -> None:
        if not target:
            return
        if key in self.noun.dated:
            self.reading.note(origin, f"an older spelling, still read; today it is {target}")
        self._put(tuple(target.split(".")), value, origin)

    def _put(self, target: Steps, value: object, origin: Origin) -> None:
        holder = self.values
        for depth, step in enumerate(target[:-1], start=1):
            below = holder.get(step)
            if below is None:
                below = holder[step] = {}
                self.reading.origins[(*self.at, *target[:depth])] = origin
            if not isinstance(below, dict):
                return  # a text where a block is wanted; the fields say so
            holder = below
        self._merge(holder, target, value, origin)

    def _merge(self, holder: dict[str, object], target: Steps, value: object, origin: Origin) -> None:
        key, path = target[-1], (*self.at, *target)
        there = holder.get(key)
        if there is None:
            holder[key] = value
            self.reading.origins[path] = origin
        elif isinstance(there, dict) and isinstance(value, dict):
            for name, below in value.items():
                self._merge(there, (*target, name), below, self.reading.refined(origin.below(name)))
        elif value is not None and not _same(there, value):
            self._twice(holder, path, value, origin)

    def _twice(self, holder: dict[str, object], path: KeyPath, value: object, origin: Origin) -> None:
        first = self.reading.origin(path)
        if RANK[origin.source] != RANK[first.source]:
            if RANK[origin.source] > RANK[first.source]:
                holder[str(path[-1])] = value
                self.reading.origins[path] = origin
            return
        line = self.reading.line_of(first)
        where = f" on line {line}" if line else ""
        self.reading.problem_at(
            origin,
            f"{shown(value)} here, but {self.reading.written(first)}{where} says {shown(holder[str(path[-1])])}"
            " for the same setting; keep one of them",
        )

    def _unknown(self, key: str, origin: Origin) -> None:
        block = key.rpartition(".")[0]
        allowed = sorted(_keys_in(self.noun, block))
        meant = _meant(self.noun, key, allowed)
        suggestion = f'; did you mean "{meant}"?' if meant else "."
        self.reading.problem_at(origin, f"unknown key{suggestion} Allowed here: {', '.join(allowed)}")


def _same(one: object, other: object) -> bool:
    return one == other or (
        not isinstance(one, dict | list) and not isinstance(other, dict | list) and str(one) == str(other)
    )


def _keys_in(noun: type[Noun], block: str) -> set[str]:
    """The keys that people write today in ``block`` of a noun; the noun's own keys for ""."""
    prefix = f"{block}." if block else ""
    spelled = [key for key in noun.spellings if key not in noun.dated and noun.spellings[key]]
    keys = {key.removeprefix(prefix).partition(".")[0] for key in spelled if key.startswith(prefix)}
    if block:
        return keys
    shapes = {key for owner, key in SHAPES if owner is noun and (owner, key) not in DATED_SHAPES}
    return keys | shapes | (set(noun.model_fields) - noun.output_only)


def _meant(noun: type[Noun], key: str, allowed: list[str]) -> str | None:
    """The key that was probably meant: near in the same block, or the same word in another one."""
    last = key.rpartition(".")[2]
    near = difflib.get_close_matches(last.lower(), allowed, n=1, cutoff=0.75)
    if near:
        return near[0]
    everywhere = list(_all_keys(noun))
    for full in everywhere:
        if full.rpartition(".")[2] == last.lower():
            return full
    words = {full.rpartition(".")[2]: full for full in reversed(everywhere)}
    far = difflib.get_close_matches(last.lower(), words, n=1, cutoff=0.75)
    return words[far[0]] if far else next(iter(difflib.get_close_matches(last.lower(), allowed, n=1)), None)


def _all_keys(noun: type[Noun], prefix: str = "", depth: int = 0) -> Iterator[str]:
    for name, field in noun.model_fields.items():
        if name in noun.output_only:
            continue
        yield prefix + name
        nested = nested_noun(field.annotation)
        if nested and depth < 3:
            yield from _all_keys(nested, f"{prefix}{name}.", depth + 1)
