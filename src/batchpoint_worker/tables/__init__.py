"""Tables in the worker: the parts that files are cut into, and what reads and writes them."""
