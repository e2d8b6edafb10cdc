"""What the worker does at the moment when a script imports a module that Batchpoint has something to say about."""
