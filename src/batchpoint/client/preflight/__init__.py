"""Preflights as programs and the command line ask for them."""
