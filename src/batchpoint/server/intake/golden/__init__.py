"""Golden rows at creation and invocation."""
