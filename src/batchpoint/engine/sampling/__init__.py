"""A few items run through the engine as a job of their own, for whoever wants to know how the whole job would go."""
