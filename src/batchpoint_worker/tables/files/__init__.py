"""Readers of the files that a model without a script can score, one module for each family of formats."""
