"""What the tabular benchmark runs beside us; each program starts in the environment of the peers."""
