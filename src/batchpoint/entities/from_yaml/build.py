"""A plain tree becomes a noun, inner nouns first, so that every problem of every part is found in one go.

``load`` calls it with the root noun.
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from batchpoint.entities.deployment import Deployment
from batchpoint.entities.from_yaml.changes import KeyPath, dotted
from batchpoint.entities.from_yaml.document import typed
from batchpoint.entities.from_yaml.fields import is_untyped, nested_noun, takes_text
from batchpoint.entities.from_yaml.reading import Origin, Reading
from batchpoint.entities.from_yaml.rules import RULES
from batchpoint.entities.from_yaml.sentences import findings, shown
from batchpoint.entities.from_yaml.spelling import Speller
from batchpoint.entities.noun import Noun, snake_cased

N = TypeVar("N", bound=Noun)


def build(
    noun: type[N], mapping: dict[str, object], at: KeyPath, reading: Reading, flags: Mapping[str, object]
) -> N | None:
    """The noun that ``mapping`` and ``flags`` spell, or None after reporting why there is none."""
    if noun is Deployment:
        _one_instance_count(mapping, at, reading)
    if _refused_as_a_whole(noun, mapping, at, reading):
        return None
    speller = Speller(noun, at, reading)
    speller.read(mapping)
    for key, value in flags.items():
        speller.overrule(key, value)
    values = speller.values
    if _refused_as_a_whole(noun, values, at, reading):
        return None
    _refuse_values(noun, values, at, reading)
    for name in list(values):
        _fit(noun, name, values, at, reading)
    _check_names(noun, values, at, reading)
    if noun in RULES:
        RULES[noun](values, at, reading)
    return _validated(noun, values, at, reading)


def _one_instance_count(mapping: dict[str, object], at: KeyPath, reading: Reading) -> None:
    """``resources`` and ``settings.instance_count`` exclude each other, even with equal values."""
    settings = mapping.get("settings")
    if not (isinstance(settings, dict) and "instance_count" in settings and mapping.get("resources") is not None):
        return
    one, other = reading.origin((*at, "settings", "instance_count")), reading.origin((*at, "resources"))
    if "set" in (one.source, other.source):
        return
    reading.problem_at(
        one,
        f"resources on line {reading.line_of(other)} and settings.instance_count cannot stand together;"
        " keep resources.instance_count",
    )
    mapping["settings"] = {key: value for key, value in settings.items() if key != "instance_count"}


def _refused_as_a_whole(noun: type[Noun], mapping: dict[str, object], at: KeyPath, reading: Reading) -> bool:
    """True, and said, for a document of another kind: the rest of its keys would only add noise."""
    for key, value in mapping.items():
        for refusal, sentence in noun.refusals.items():
            named, equals, word = refusal.partition("=")
            whole = _is(value, word) if equals and key == "type" else not equals and value is not None
            if named == key and whole:
                reading.problem((*at, key), sentence)
                return True
    return False


def _refuse_values(noun: type[Noun], values: dict[str, object], at: KeyPath, reading: Reading) -> None:
    for refusal, sentence in noun.refusals.items():
        key, equals, value = refusal.partition("=")
        if equals and key != "type" and _is(values.get(key), value):
            reading.problem((*at, key), sentence)


def _is(value: object, word: str) -> bool:
    """Closed sets are compared without case; ``amlToken`` is ``aml_token``."""
    return isinstance(value, str) and word in (value.lower(), snake_cased(value))


def _fit(noun: type[Noun], name: str, values: dict[str, object], at: KeyPath, reading: Reading) -> None:
    """Make the value fit its field: inner nouns built, numbers as text where text is wanted, nothing dropped."""
    field, value, here = noun.model_fields[name], values[name], (*at, name)
    nested = nested_noun(field.annotation)
    if value is None:
        del values[name]
        if field.is_required():
            reading.failed.add(here)
            reading.problem(here, f"this key has no value; write {noun.examples.get(name, name + ': …')}")
        elif not reading.amends and reading.origin(here).source == "file":
            reading.note(reading.origin(here), "this key has no value; it counts as not written")
    elif nested and isinstance(value, dict):
        built = build(nested, value, here, reading, {})
        values[name] = _stand_in(nested, here, reading) if built is None else built
    elif nested and not (takes_text(field.annotation) and isinstance(value, str)):
        text = "a reference or " if takes_text(field.annotation) else ""
        keys = ", ".join(sorted(set(nested.model_fields) - nested.output_only))
        reading.problem(here, f"{shown(value)} stands here, and {text}a block is wanted; its keys: {keys}")
        values[name] = _stand_in(nested, here, reading)
    else:
        values[name] = typed(value) if is_untyped(field.annotation) else _text(value)


def _stand_in(nested: type[Noun], at: KeyPath, reading: Reading) -> Noun:
    reading.failed.add(at)
    return nested.model_construct()


def _text(value: object) -> object:
    if isinstance(value, dict):
        return {key: _text(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_text(below) for below in value]
    return str(value) if isinstance(value, str) else value


def _check_names(noun: type[Noun], values: dict[str, object], at: KeyPath, reading: Reading) -> None:
    for key, rule in noun.name_rules.items():
        value = values.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str):
            for problem in rule.problems(value):
                reading.problem((*at, key), problem)
            values[key] = rule.spelled(value)
    if not at and "name" in noun.examples and not noun.model_fields["name"].is_required() and not values.get("name"):
        _missing(noun, "name", at, reading)
    elif at and values.get("version") and not values.get("name") and "name" in noun.name_rules:
        reading.problem((*at, "version"), "a version needs a name beside it; add name, or remove version")


def _missing(noun: type[Noun], key: str, at: KeyPath, reading: Reading) -> None:
    here = (*at, key)
    if here in reading.failed:
        return
    example = noun.examples.get(key, f"{key}: …")
    flag = "--" + key.replace("_", "-")
    if reading.amends:
        written = dotted(here)
        reading.problem(here, f"this is required; to change it: --set {written}=<value>")
    elif not at and reading.file is None:
        reading.problem_at(Origin((key,), "flag"), f"this is required; write {flag} <value>, or {example} in a file")
    else:
        also = f" or give {flag}" if not at and key in ("name", "endpoint_name") else ""
        reading.problem(here, f"this key is required; add {example}{also}")


def _validated(noun: type[N], values: dict[str, object], at: KeyPath, reading: Reading) -> N | None:
    try:
        return noun.model_validate(values)
    except ValidationError as error:
        wrong = set()
        for finding in findings(error, values):
            if not finding.is_across:
                wrong.add(finding.path[0])
            if _is_said(finding.path[:-1], at, reading):
                continue
            if finding.is_missing:
                _missing(noun, str(finding.path[0]), at, reading)
            else:
                reading.problem((*at, *finding.path), finding.sentence)
        good = {key: value for key, value in values.items() if key not in wrong}
        # Without its only key a noun lacks everything, which says nothing about what was written.
        if good or not wrong:
            _check_across(noun, good, at, reading)
        return None


def _is_said(inner: KeyPath, at: KeyPath, reading: Reading) -> bool:
    """True for what a stand-in lacks: why there is one has been told."""
    return any((*at, *inner[:depth]) in reading.failed for depth in range(1, len(inner) + 1))


def _check_across(noun: type[Noun], good: dict[str, object], at: KeyPath, reading: Reading) -> None:
    """Checks between keys run only over valid values: run them once more without the wrong ones."""
    for name, field in noun.model_fields.items():
        if field.is_required() and name not in good:
            nested = nested_noun(field.annotation)
            good[name] = nested.model_construct() if nested else "placeholder"
    try:
        noun.model_validate(good)
    except ValidationError as error:
        for finding in findings(error):
            if finding.is_across and not _is_said(finding.path[:-1], at, reading):
                reading.problem((*at, *finding.path), finding.sentence)
