"""Looks at a deployment and its input before a job is paid for: a process that says line by line what it finds."""
