"""The schema step by step, for files that an older Batchpoint wrote; ``schema`` is where the steps lead."""
