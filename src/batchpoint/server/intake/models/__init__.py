"""MLflow models at creation: what a deployment without a script needs, and references into a registry."""
