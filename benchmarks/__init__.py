"""Batchpoint's engine measured beside the least that the same work can cost."""
