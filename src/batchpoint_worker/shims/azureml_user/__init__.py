"""Stands in for the package that Azure's parallel runs offer to their scripts."""
