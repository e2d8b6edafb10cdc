"""What the dispatcher is asked: how often and how long, with how many workers, and how messages are cut.

``engine.preparation.pools`` makes it from the settings of a job. Pure.
"""

from dataclasses import dataclass

from batchpoint.compute.pool import Slot

#: Seconds of work that one message should carry, and above which nothing is sent ahead. An idle core takes long to
#: wake: tiny mini-batches travel several at a time.
MESSAGE_S = 0.020
AHEAD_S = 0.050


@dataclass(frozen=True)
class Policy:
    """What the deployment asks of the dispatcher."""

    slots: tuple[Slot, ...]
    #: Executions of one mini-batch at most, before it is given up or halved.
    max_tries: int
    #: Seconds for one run() and for one init().
    timeout_s: float
    init_timeout_s: float
    #: Failed items beyond which the job stops; -1 never.
    error_threshold: int
    #: Longer where every message costs more than a pipe's.
    message_s: float = MESSAGE_S
    ahead_s: float = AHEAD_S
    #: A mini-batch that has had its tries is halved, each half is tried once, and so on down to single items.
    isolate: bool = False
    #: Pieces after which a worker is replaced; None: never.
    pieces_per_worker: int | None = None

    @property
    def tries(self) -> int:
        """Executions of one mini-batch; zero mean one."""
        return max(1, self.max_tries)
