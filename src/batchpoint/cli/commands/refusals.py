"""Commands that scripts written for ``az`` know and that are not offered here: each answers with what is."""

from batchpoint.cli.call import Call
from batchpoint.cli.grammar import Command
from batchpoint.errors import NotSupported


def refused(words: str, help_text: str, sentence: str, example: str = "") -> Command:
    """A command that only says why it is not offered, and what to do instead; any flags may follow it."""

    def run(call: Call) -> None:
        raise NotSupported(sentence, target=words)

    whole = sentence if sentence.endswith(".") else f"{sentence}."
    return Command(words, help_text, run, example=example or words, stub=whole, takes_anything=True)
