"""What ``docs/generate.py`` is made of: keys of nouns, pages, JSON Schemas."""
