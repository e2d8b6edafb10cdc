"""The commands, in the grammar of ``az ml``: flags → client call → printed noun."""
