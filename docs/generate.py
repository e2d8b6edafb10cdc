"""Writes docs/reference from the code: `python docs/generate.py`. A test holds the pages to what it would write."""

import ast
import inspect
import json
import re
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from batchpoint import errors, settings
from batchpoint.cli.grammar import GLOBAL_FLAGS, PROGRAM, Command, Flag
from batchpoint.cli.groups import SECTIONS
from batchpoint.entities import assets, compute, data, deployment, endpoint

REFERENCE = Path(__file__).parent / "reference"
GENERATED = "<!-- Written by docs/generate.py from the code; change it there. -->\n\n"

#: YAML files and the nouns behind them.
DOCUMENTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("Endpoint", endpoint.Endpoint),
    ("Deployment", deployment.Deployment),
    ("Model", assets.Model),
    ("Environment", assets.Environment),
    ("Data asset", data.DataAsset),
    ("Compute", compute.Compute),
)


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "yaml.md": GENERATED + yaml_page(),
        "commands.md": GENERATED + commands_page(),
        "settings.md": GENERATED + settings_page(),
        "errors.md": GENERATED + errors_page(),
    }


# ---- YAML ---------------------------------------------------------------------------------------------------------


def yaml_page() -> str:
    text = "# YAML files\n\nOlder spellings of keys stand under each table. Relative paths start at the file.\n"
    for title, noun in DOCUMENTS:
        text += f"\n## {title}\n\n" + _table(("key", "type", "default", "meaning"), _keys(noun, ""))
        older = dict(_spellings(noun, ""))
        if older:
            text += "\nAlso written: " + ", ".join(f"`{old}` for `{new}`" for old, new in older.items()) + ".\n"
    return text


def _keys(noun: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    comments = field_comments(noun)
    hidden = getattr(noun, "output_only", frozenset())
    for name, field in noun.model_fields.items():
        if name in hidden:
            continue
        part = _noun_in(field)
        if part is not None and part.__module__ == noun.__module__:
            yield from _keys(part, f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name}`", _type(field), _default(field, prefix), comments.get(name, "")


def _spellings(noun: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for old, new in getattr(noun, "spellings", {}).items():
        if new:
            yield prefix + old, prefix + new
    for name, field in noun.model_fields.items():
        part = _noun_in(field)
        if part is not None and part.__module__ == noun.__module__:
            yield from _spellings(part, f"{prefix}{name}.")


def _noun_in(field: FieldInfo) -> type[BaseModel] | None:
    choices = [field.annotation, *typing.get_args(field.annotation)]
    nouns = [one for one in choices if isinstance(one, type) and issubclass(one, BaseModel)]
    return nouns[0] if len(nouns) == 1 and str not in choices else None


def _type(field: FieldInfo) -> str:
    choices = [one for one in (typing.get_args(field.annotation) or (field.annotation,)) if one is not type(None)]
    if typing.get_origin(field.annotation) in (dict, tuple):
        return _one_type(field.annotation)
    return " or ".join(_one_type(one) for one in choices).replace("|", "\\|")


def _one_type(one: object) -> str:
    if typing.get_origin(one) is typing.Literal:
        return " ".join(f"`{value}`" for value in typing.get_args(one))
    if typing.get_origin(one) is typing.Annotated:
        return _one_type(typing.get_args(one)[0])
    if typing.get_origin(one) in (dict, tuple):
        return "map" if typing.get_origin(one) is dict else "list"
    if isinstance(one, type) and issubclass(one, BaseModel):
        return "map"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "map"}
    return names.get(one, f"`{one}`") if isinstance(one, type) else f"`{one}`"


def _default(field: FieldInfo, prefix: str) -> str:
    if field.is_required():
        return f"required in `{prefix[:-1]}`" if prefix else "required"
    value = None if field.default_factory else field.default
    return (
        ""
        if value in (None, ()) or isinstance(value, BaseModel)
        else f"`{json.dumps(value) if isinstance(value, bool) else value}`"
    )


# ---- commands -----------------------------------------------------------------------------------------------------


def commands_page() -> str:
    text = f"""# Commands

`{PROGRAM} [ml] GROUP VERB [flags]`. Flags may be shortened as long as they stay unambiguous. With a link or an alias
`az` → `{PROGRAM}`, lines written for `az ml` work as they stand. The result goes to stdout, everything else to stderr.
Exit codes: 0 success, 1 error, 2 the command line is wrong, 3 `show` found nothing.

## Every command takes

{_flags(GLOBAL_FLAGS)}"""
    for title, groups in SECTIONS:
        text += f"\n## {title}\n"
        for group in groups:
            text += f"\n{group.help}\n"
            text += "".join(_command(command) for command in group.commands())
    return text


def _command(command: Command) -> str:
    example = f"\n    {PROGRAM} {command.example}\n" if command.example else ""
    return f"\n### {command.words}\n\n{command.help}\n{example}" + (
        f"\n{_flags(command.flags)}" if command.flags else ""
    )


def _flags(flags: tuple[Flag, ...]) -> str:
    rows = (
        (f"`{', '.join(f.spellings)}{' ' + f.value if f.value else ''}`", _flag_help(f)) for f in flags if not f.hidden
    )
    return _table(("flag", ""), rows)


def _flag_help(flag: Flag) -> str:
    return f"{flag.help} Required." if flag.required else flag.help


# ---- settings and errors ------------------------------------------------------------------------------------------


def settings_page() -> str:
    comments = field_comments(settings.Settings)
    rows = (
        (f"`{name}`", f"`BATCHPOINT_{name.upper()}`", f"`{_setting_default(name)}`", comments.get(name, ""))
        for name in inspect.signature(settings.Settings).parameters
    )
    return "# Settings\n\nEach can stand in `config.toml` in the home, or in the environment, which wins.\n\n" + _table(
        ("setting", "variable", "default", "meaning"), rows
    )


def _setting_default(name: str) -> str:
    if name == "home":
        return "~/.batchpoint"
    return str(inspect.signature(settings.Settings).parameters[name].default)


def errors_page() -> str:
    rows = (
        (f"`{error.code}`", (error.__doc__ or "").strip(), _kind(error))
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.BatchpointError) and error is not errors.BatchpointError
    )
    return (
        "# Errors\n\nEvery error has a code that stays the same from version to version, and a message that says what,"
        " where, and what to do.\n\n" + _table(("code", "meaning", "what it is"), sorted(set(rows)))
    )


def _kind(error: type[errors.BatchpointError]) -> str:
    if issubclass(error, errors.UserError):
        return "the caller can mend it"
    return "ends a job" if issubclass(error, errors.JobFailed) else "of the machine"


# ---- what all pages need ------------------------------------------------------------------------------------------


def field_comments(owner: type) -> dict[str, str]:
    """The ``#:`` comments above the fields of a class, references to other pages left out."""
    lines = inspect.getsource(owner).splitlines()
    tree = ast.parse(textwrap.dedent("\n".join(lines)))
    comments = {}
    for node in typing.cast(ast.ClassDef, tree.body[0]).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comments[node.target.id] = _comment_above(lines, node.lineno - 1)
    return comments


def _comment_above(lines: list[str], at: int) -> str:
    found: list[str] = []
    while at > 0 and lines[at - 1].strip().startswith("#:"):
        at -= 1
        found.insert(0, lines[at].strip().removeprefix("#:").strip())
    return re.sub(r" \((?:contract|decision)[^)]*\)", "", " ".join(found)).replace("``", "`")


def _table(heads: tuple[str, ...], rows: typing.Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
