"""What may follow the words of a command line: groups, verbs, flags, choices, and names that the home knows.

The scripts of ``completion`` ask at every press of the tab key, so nothing heavy is imported; a question that makes
no sense is answered with nothing, never with an error.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batchpoint.cli.grammar import Command, Flag
from batchpoint.cli.groups import GROUPS
from batchpoint.errors import BatchpointError

#: The hidden word that asks: ``__complete words WORD… CURRENT`` or ``__complete bash LINE WORDBREAKS``.
ASK = "__complete"
#: The answer that leaves it to the shell to offer file names.
FILES = ":files"
_FILE_VALUES = frozenset({"FILE", "DIR", "PATH", "SCRIPT", "DATA", "URI", "EXE"})

#: A word and what it does.
Offer = tuple[str, str]


def answer(asked: Sequence[str]) -> str:
    """The lines for the shell: a word and, after a tab, its purpose; bash gets words alone."""
    if asked[:1] == ["bash"] and len(asked) == 3:
        words = _split(asked[1])
        offers = [(_after_break(word, words[-1], asked[2]), "") for word, _ in _offers(words[1:])] if words[1:] else []
    else:
        offers = _offers(list(asked[1:]))
    return "".join(f"{word}\t{purpose}\n" if purpose else f"{word}\n" for word, purpose in offers)


def _split(line: str) -> list[str]:
    """The words of a line that ends at the cursor, the last one perhaps empty or in an open quotation."""
    for closing in ("", '"', "'"):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if not closing and line[-1:].isspace() else words
    return []


def _after_break(word: str, current: str, breaks: str) -> str:
    """What bash replaces: it counts ``=`` and ``:`` as ends of words, unless told otherwise."""
    at = max((current.rfind(sign) for sign in "=:" if sign in breaks), default=-1)
    return word[at + 1 :] if at >= 0 and word != FILES else word


def _offers(words: list[str]) -> list[Offer]:
    words = words[1:] if words[:1] == ["ml"] and len(words) > 1 else words
    if not words:
        return []
    if len(words) == 1:
        return _starting(words[0], ((group.word, group.help) for group in GROUPS.values()))
    group = GROUPS.get(words[0])
    if group is None:
        return []
    commands = {command.words: command for command in group.commands()}
    if group.word in commands:
        return _Line(commands[group.word], words[1:-1]).offers(words[-1])
    if len(words) == 2:
        return _starting(words[1], ((command.verb, command.help) for command in commands.values()))
    command = commands.get(f"{group.word} {words[1]}")
    return _Line(command, words[2:-1]).offers(words[-1]) if command else []


def _starting(current: str, offers: Iterable[Offer]) -> list[Offer]:
    return [offer for offer in offers if offer[0].startswith(current)]


@dataclass
class _Line:
    """The flags of a command that were typed so far."""

    command: Command
    before: list[str]
    #: What was typed for each flag, by attribute.
    given: dict[str, list[str]] = field(default_factory=dict)
    #: The flag that the next word belongs to.
    open: Flag | None = None

    def __post_init__(self) -> None:
        for word in self.before:
            spelling, equals, value = word.partition("=")
            flag = self._flag(spelling) if word.startswith("-") else None
            if flag is not None:
                self.given.setdefault(flag.attribute, []).extend([value] if equals else [])
                self.open = flag if flag.value and (flag.many or flag.grouped or not equals) else None
            elif self.open is not None:
                self.given[self.open.attribute].append(word)
                self.open = self.open if self.open.many or self.open.grouped else None

    def offers(self, current: str) -> list[Offer]:
        spelling, equals, value = current.partition("=")
        if equals and current.startswith("-"):
            flag = self._flag(spelling)
            found = self._values(flag, value) if flag else []
            return found if found == [(FILES, "")] else [(f"{spelling}={word}", purpose) for word, purpose in found]
        if self.open is not None and not current.startswith("-"):
            return self._values(self.open, current)
        if self.command.argument_words and not self.before and not current.startswith("-"):
            words = self.command.argument_words()
            return [(word, "") for word in words if word.lower().startswith(current.lower())]
        return _starting(current, self._flags(current))

    def _flags(self, current: str) -> Iterable[Offer]:
        """Flags that may still be given: in their leading spelling, unless another one is being typed."""
        for flag in self.command.all_flags:
            if flag.hidden or (flag.attribute in self.given and not (flag.many or flag.grouped)):
                continue
            for spelling in flag.spellings if len(current) > 2 else flag.spellings[:1]:
                yield spelling, flag.help

    def _flag(self, spelling: str) -> Flag | None:
        """As the parser reads it: the whole flag, or an unambiguous beginning."""
        exact = [flag for flag in self.command.all_flags if spelling in flag.spellings]
        if exact:
            return exact[0]
        near = [f for f in self.command.all_flags if any(s.startswith(spelling) for s in f.spellings)]
        return near[0] if len(near) == 1 and spelling.startswith("--") else None

    def _values(self, flag: Flag, current: str) -> list[Offer]:
        if flag.choices:
            return _starting(current.lower(), ((choice, "") for choice in flag.choices))
        if current.startswith("azureml:") and flag.value in ("DATA", "REF"):
            return _starting(current, ((f"azureml:{name}@latest", "") for name in self._names("data")))
        if flag.of:
            return _starting(current, ((name, "") for name in self._names(flag.of)))
        return [(FILES, "")] if flag.value in _FILE_VALUES else []

    def _names(self, noun: str) -> list[str]:
        """Names in the home that this line speaks of; without any, or where it cannot be read, none."""
        from batchpoint.settings import Settings
        from batchpoint.store.glance import names

        try:
            settings = Settings.load(home=self._last("home"))
        except BatchpointError:
            return []
        workspace = (
            self._last("subscription") or settings.subscription,
            self._last("resource_group") or settings.resource_group,
            self._last("workspace_name") or settings.workspace,
        )
        endpoints = [flag.attribute for flag in self.command.flags if flag.of == "endpoint"]
        endpoint = next((found for name in endpoints if (found := self._last(name))), "")
        return names(settings.home, "/".join(workspace), noun, endpoint)

    def _last(self, attribute: str) -> str | None:
        return next(iter(self.given.get(attribute, [])[-1:]), None)
