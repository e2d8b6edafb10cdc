"""Preflights on the server: what is to be checked, found by the rules of creation and invocation, and who checks it."""
