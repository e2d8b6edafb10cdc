"""Cuts large files into parts, each an item of the plan: where rows begin, which files can be cut, and what is said."""
