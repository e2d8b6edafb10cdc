"""How long a job would take, from a timed sample: what calls cost, what follows for all of them, how sure it is."""
