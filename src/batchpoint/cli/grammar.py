"""The grammar of the command line: flags and commands as data, and how words become a call.

The modules in ``commands`` describe themselves with it, ``cli/__main__`` resolves words with it. It knows no noun
and imports nothing heavy, so that help and typing errors are answered at once.
"""

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from batchpoint.errors import CommandLineInvalid

if TYPE_CHECKING:
    from batchpoint.cli.call import Call

PROGRAM = "batchpoint"
FORMATS = ("json", "jsonc", "table", "tsv", "yaml", "yamlc", "none")


@dataclass(frozen=True)
class Flag:
    """One flag of a command."""

    #: Every spelling, the leading one first: ``"--name -n"``. The first names the attribute.
    names: str
    help: str = ""
    #: Placeholder of the value in help; empty for a switch.
    value: str = ""
    required: bool = False
    #: True when several values may follow, and the flag may be repeated.
    many: bool = False
    #: True when every repetition is a list of words of its own.
    grouped: bool = False
    number: type[int] | type[float] | None = None
    #: Allowed values, compared without case.
    choices: tuple[str, ...] = ()
    default: object = None
    #: True for spellings that old scripts use and help need not teach.
    hidden: bool = False
    #: The noun whose name is the value, for completion: ``"endpoint"``.
    of: str = ""

    @property
    def spellings(self) -> list[str]:
        return self.names.split()

    @property
    def attribute(self) -> str:
        return self.spellings[0].lstrip("-").replace("-", "_")

    @property
    def meaning(self) -> str:
        """The help text, and what holds when the flag is not given."""
        text = self.help
        if self.required:
            return f"{text} Required."
        if self.default is not None and "default" not in text.lower():
            return f"{text} Default {self.default}."
        return text


@dataclass(frozen=True)
class Command:
    """One command: its words, its flags, and the function that carries it out."""

    words: str
    help: str
    run: "Callable[[Call], object]"
    flags: tuple[Flag, ...] = ()
    example: str = ""
    #: Why it does nothing here, as a sentence; empty for a command that does what it is for.
    stub: str = ""
    #: True for a stub that can only say so: whatever words follow, they are not complained about.
    takes_anything: bool = False
    #: Placeholder of the one word that may follow without a flag; in lower case it names the attribute.
    argument: str = ""
    #: The words that it may be, for completion; called when somebody asks.
    argument_words: "Callable[[], Iterable[str]] | None" = None

    @property
    def verb(self) -> str:
        return self.words.split()[-1]

    @property
    def all_flags(self) -> tuple[Flag, ...]:
        return self.flags + GLOBAL_FLAGS


#: Placeholders of values that are a name, a reference or a place; in free text a quotation mark may be meant.
_UNQUOTED = frozenset(
    {"NAME", "REF", "ID", "VERSION", "LABEL", "PATH", "FILE", "DIR", "URI", "URL", "DATA", "SCRIPT", "EXE", "TYPE"}
)

#: Placeholders of values that say which one is meant. An empty one is a variable of the shell that was not set; taken
#: for "not given" it could mean all of them.
_NEVER_EMPTY = frozenset({"NAME", "VERSION", "LABEL"})

GLOBAL_FLAGS = (
    Flag("--output -o", f"{', '.join(FORMATS)}; default json.", "FORMAT", choices=FORMATS, default="json"),
    Flag("--query", "JMESPath expression over the result; without it the whole result.", "EXPR"),
    Flag("--resource-group -g", "Resource group; default the configured one, else 'default'.", "NAME"),
    Flag("--workspace-name -w", "Workspace; default the configured one, else 'default'.", "NAME", of="workspace"),
    Flag("--subscription", "Subscription; default the one of 'account set', else zeros.", "ID"),
    Flag("--server", "URL of the server; default the one on the same home, else none is needed.", "URL"),
    Flag("--home", "Folder that keeps everything; default BATCHPOINT_HOME, else ~/.batchpoint.", "DIR"),
    Flag("--only-show-errors", "Print no warnings."),
    Flag("--verbose", "Say more on stderr."),
    Flag("--debug", "Say everything on stderr, tracebacks included."),
    Flag("--help -h", "Print this."),
    Flag("--acquire-policy-token", hidden=True),
    Flag("--change-reference", value="TEXT", hidden=True),
)

FILE = Flag("--file -f", "YAML file; default none, the flags say it all.", "FILE")
SET = Flag("--set", "Values over the file's: a.b=c d.e=f.", "KEY=VALUE", many=True)
NO_WAIT = Flag("--no-wait", "Return as soon as the request is accepted, which here is when it is carried out.")
YES = Flag("--yes -y", "Do not ask.")
#: What every ``update`` takes.
EDITS = (
    SET,
    Flag("--add", "Append to a list, or add to a map: tags a=b.", "PATH VALUE", grouped=True),
    Flag("--remove", "Remove a key, or an element of a list: tags.a.", "PATH [INDEX]", grouped=True),
    Flag("--force-string", "Take the values of --set and --add as text."),
)


def named(what: str, *, required: bool = True) -> Flag:
    """The flag that names the noun a command is about."""
    purpose = f"Name of the {what}." if required else f"Name of the {what}; default the one in the file."
    return Flag("--name -n", purpose, "NAME", required=required, of=what.split()[0])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandLineInvalid(message.removeprefix("argument "))


def read_flags(command: Command, words: Sequence[str]) -> argparse.Namespace:
    """The flags of ``command`` in ``words``; unambiguous prefixes count as the whole flag.

    Raises CommandLineInvalid for what the command does not have, or lacks.
    """
    parser = _parser(command)
    flags, rest = parser.parse_known_args(list(words))
    if flags.help or command.takes_anything:
        return flags
    if rest:
        raise CommandLineInvalid(_unknown(command, rest[0]))
    missing = [flag.spellings[0] for flag in command.flags if flag.required and getattr(flags, flag.attribute) is None]
    if missing:
        raise CommandLineInvalid(f"{command.words} needs {' and '.join(missing)}")
    return flags


def _parser(command: Command) -> _Parser:
    parser = _Parser(prog=PROGRAM, add_help=False)
    if command.argument:
        parser.add_argument(command.argument.lower(), nargs="?")
    taken: set[str] = set()
    for flag in command.all_flags:
        spellings = [s for s in flag.spellings if s not in taken]
        taken.update(spellings)
        if spellings:
            parser.add_argument(*spellings, **_options(flag))
    return parser


def _options(flag: Flag) -> dict[str, Any]:
    if not flag.value:
        return {"dest": flag.attribute, "action": "store_true"}
    options: dict[str, Any] = {"dest": flag.attribute, "default": flag.default}
    if flag.many or flag.grouped:
        options |= {"nargs": "+", "action": "append" if flag.grouped else "extend"}
    if flag.choices:
        options |= {"type": lambda text: unquoted(text).lower(), "choices": flag.choices}
    elif flag.number:
        options["type"] = _number_reader(flag.number)
    elif flag.value in _NEVER_EMPTY:
        options["type"] = _said
    elif flag.value in _UNQUOTED:
        options["type"] = unquoted
    return options


def unquoted(text: str) -> str:
    """``"name"`` → ``name``: quotes that belonged to the syntax of another shell and arrived as letters."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _said(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty; is a variable of the shell not set?")
    return unquoted(text)


def _number_reader(number: type[int] | type[float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            return number(unquoted(text))
        except ValueError as error:
            what = "whole number" if number is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}") from error

    return read


def _unknown(command: Command, word: str) -> str:
    if not word.startswith("-"):
        return f"{command.words} takes flags only; {word!r} stands alone"
    spelling = word.partition("=")[0]
    known = [s for flag in command.all_flags if not flag.hidden for s in flag.spellings]
    return f"{command.words} has no flag {spelling}.{did_you_mean(spelling, known)}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean X?`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]}?" if near else ""


def pairs(words: Sequence[str] | None, flag: str) -> dict[str, str]:
    """``["a=b", "c", "d"]`` → ``{"a": "b", "c": "d"}``: with an equals sign, or key and value as two words.

    For flags that take a map; ``--set`` has a grammar of its own in ``entities/from_yaml/changes``.
    """
    found: dict[str, str] = {}
    rest = iter(words or ())
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise CommandLineInvalid(f"{flag} {word}: the value is missing; write {flag} {word}=VALUE")
            value = following
        if not key:
            raise CommandLineInvalid(f"{flag} {word}: the name before = is missing; write {flag} NAME{word}")
        found[key] = value
    return found
