"""Which bytes of a CSV file stand inside quotes, found block by block at the speed of memory.

``row_starts`` asks for each block with its quoted line breaks hidden. The rules are those that readers of CSV share: a
quote opens a quoted field only where a field begins, two quotes in it stand for one, and what follows the closing quote
belongs to the field but is not quoted any more.
"""

import re
from enum import Enum

_QUOTE = b'"'
_LINE_BREAKS = b"\r\n"
_HIDE = bytes.maketrans(_LINE_BREAKS, b"  ")
#: From inside a quoted field to the quote that closes it; quotes in pairs are text.
_TO_THE_END = re.compile(rb'[^"]*(?:""[^"]*)*')


class _State(Enum):
    """What stands before a block, as the shortest text that leads there."""

    FIELD_BEGINS = b"\n"
    UNQUOTED = b"x"
    QUOTED = b'\n"'
    #: A quote was closed; another one right after it opens it again.
    CLOSED = b'\n""'


class Quotes:
    """Follows the quotes of one file from its first byte to its last."""

    def __init__(self, delimiter: bytes) -> None:
        self._separators = delimiter + _LINE_BREAKS
        self._state = _State.FIELD_BEGINS
        #: Tells apart quotes, what a field may begin after, and everything else.
        kinds = bytearray(b"x" * 256)
        for byte in self._separators:
            kinds[byte] = ord("s")
        kinds[ord(_QUOTE)] = ord(_QUOTE)
        self._kinds = bytes(kinds)

    @property
    def is_open(self) -> bool:
        """True inside a quoted field; at the end of a file it was then never closed."""
        return self._state is _State.QUOTED

    def hidden(self, block: bytes) -> bytes:
        """The next bytes of the file, as many, with a space for every line break that stands inside quotes."""
        if self._state is not _State.QUOTED and _QUOTE not in block:
            self._state = self._after(block, self._state)
            return block
        before = self._state.value
        pieces = (before + block).split(_QUOTE)
        # If every quote that would open a field stands where one may, every second piece is inside.
        ends_inside = len(pieces) % 2 == 0
        outside = _QUOTE.join(pieces[::2] + [b""] * ends_inside)
        if b'x"' in outside.translate(self._kinds):
            return self._hidden_one_by_one(block)
        self._state = _State.QUOTED if ends_inside else self._after(pieces[-1], _State.CLOSED)
        inside = _QUOTE.join(pieces[1::2])
        if b"\n" not in inside and b"\r" not in inside:
            return block
        pieces[1::2] = inside.translate(_HIDE).split(_QUOTE)
        return _QUOTE.join(pieces)[len(before) :]

    def _after(self, text: bytes, otherwise: _State) -> _State:
        """The state behind unquoted text; ``otherwise`` when it is empty."""
        if not text:
            return otherwise
        return _State.FIELD_BEGINS if text[-1] in self._separators else _State.UNQUOTED

    def _hidden_one_by_one(self, block: bytes) -> bytes:
        """The same for a block with quotes in fields that do not begin with one: field by field."""
        told, fields = bytearray(block), _Openings(block, self._separators)
        at, state = 0, self._state
        if state in (_State.CLOSED, _State.FIELD_BEGINS) and block.startswith(_QUOTE):
            at, state = 1, _State.QUOTED
        while True:
            if state is not _State.QUOTED:
                opening = fields.behind(at)
                if opening is None:
                    self._state = self._after(block[max(at, len(block) - 1) :], state)
                    return bytes(told)
                at = opening
            found = _TO_THE_END.match(block, at)
            assert found is not None
            told[at : found.end()] = found[0].translate(_HIDE)
            if found.end() == len(block):
                self._state = _State.QUOTED
                return bytes(told)
            at, state = found.end() + 1, _State.CLOSED


class _Openings:
    """The quotes of a block that stand right behind a separator."""

    def __init__(self, block: bytes, separators: bytes) -> None:
        self._block = block
        #: For each separator, the next quote behind it; one that was passed is looked for again.
        self._next = {bytes([separator]) + _QUOTE: -1 for separator in separators}

    def behind(self, at: int) -> int | None:
        """Where the first quoted field that begins behind ``at`` goes on after its quote; None: there is none."""
        for text, there in self._next.items():
            if there < at:
                found = self._block.find(text, at)
                self._next[text] = found if found >= 0 else len(self._block)
        first = min(self._next.values())
        return first + 2 if first < len(self._block) else None
