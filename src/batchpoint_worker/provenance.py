"""Where a line of the output comes from: three columns in front of it, for jobs that ask for them.

Used by rows. The columns are written as ``DataFrame.to_csv(sep=" ")`` would write them, by these rules alone, so that
they do not depend on the version of any library.
"""

MYPY = False
if MYPY:
    from collections.abc import Iterator, Sequence

#: What a field with one of these needs quotes for.
_SPECIAL = frozenset(' "\n\r')


class Origin:
    """The items that one call of ``run()`` got, and how its results are theirs.

    As many results as items: each belongs to the item in its place. One item: all results are its own. Otherwise
    nobody knows: the file is "", and the rows of the call are counted through.
    """

    def __init__(self, names: "Sequence[bytes]", mini_batch: int) -> None:
        self._names = names
        self.mini_batch = mini_batch
        self._tail = " %d " % mini_batch
        self._files = []  # type: list[str]
        self._is_one_each = False
        self._row = 0
        self._last = -1

    def share(self, results: int) -> None:
        """Says how many results there are, before the first is asked for."""
        self._is_one_each = len(self._names) == results
        is_known = self._is_one_each or len(self._names) == 1
        self._files = (
            [_quoted(name.decode("utf-8", "backslashreplace")) for name in self._names] if is_known else ['""']
        )

    def places(self, results: int) -> "tuple[list[str], list[int]]":
        """Of so many results the file of each and the row in it, where they become columns."""
        names = [name.decode("utf-8", "backslashreplace") for name in self._names]
        if len(names) == results:
            return names, [0] * results
        return (names if len(names) == 1 else [""]) * results, list(range(results))

    def columns(self, index: int) -> str:
        """File, row in it and mini-batch, for the next line of result ``index``; lines are asked for in order."""
        if self._is_one_each and index != self._last:
            self._row, self._last = 0, index
        file = self._files[index if self._is_one_each else 0]
        row = self._row
        self._row += 1
        return file + " " + str(row) + self._tail

    def element(self, index: int, text: str) -> str:
        """A result that is text: each line of it gets its columns."""
        return "\n".join([self.columns(index) + line for line in text.split("\n")])

    def records(self, pieces: "Iterator[bytes]") -> "Iterator[bytes]":
        """Rows of a DataFrame, a whole number in each piece; a quoted field may go on over several lines."""
        index = 0
        for piece in pieces:
            labelled = []
            is_open = False
            for line in piece.split(b"\n")[:-1]:
                if not is_open:
                    labelled.append(self.columns(index).encode("utf-8"))
                    index += 1
                # A quote within a field is doubled, so that an odd number of them opens or closes one.
                is_open ^= line.count(b'"') % 2 == 1
                labelled.append(line + b"\n")
            yield b"".join(labelled)


def _quoted(text: str) -> str:
    return '"%s"' % text.replace('"', '""') if not text or not _SPECIAL.isdisjoint(text) else text
