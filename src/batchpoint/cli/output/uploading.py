"""The line on a terminal that says how far an upload is; ``Call`` hands it to the client."""

import sys
import time

#: The line is drawn at most this often, however often it is told.
REDRAW_S = 0.1


class UploadLine:
    """``Uploading model (12.34 MBs): 42%`` on stderr, drawn over itself; nothing where that is no terminal."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.live = wanted and sys.stderr.isatty()
        self._drawn_at = 0.0
        self._is_open = False

    def show(self, name: str, there: int, size: int) -> None:
        """Draw it, unless the last drawing was a moment ago; what is complete is drawn in any case."""
        complete, now = there >= size, time.monotonic()
        if not complete and there and now - self._drawn_at < REDRAW_S:
            return
        self._drawn_at, self._is_open = now, not complete
        share = 100 if complete else 100 * there // size
        end = "\n" if complete else ""
        print(f"\rUploading {name} ({size / 1e6:,.2f} MBs): {share:3}%", end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        """What is printed next begins on a line of its own."""
        if self._is_open:
            print(file=sys.stderr)
