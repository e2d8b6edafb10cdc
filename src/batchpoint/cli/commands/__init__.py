"""One module for each noun: its commands as data, and the few lines that carry each out."""
