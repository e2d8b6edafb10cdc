"""The pure core: who scores what, what is tried again, when it is over. No clock, thread, file or process."""

from batchpoint.engine.dispatch.dispatcher import GIVEN_BACK_MAX, Dispatcher
from batchpoint.engine.dispatch.policy import Policy

__all__ = ["GIVEN_BACK_MAX", "Dispatcher", "Policy"]
