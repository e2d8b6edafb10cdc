"""Golden rows: inputs whose predictions are known, scored again to notice when a deployment answers differently."""
