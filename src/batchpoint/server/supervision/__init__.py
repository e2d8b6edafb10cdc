"""What a supervisor decides about drivers (``watch``), and how it starts and ends them here (``drivers``)."""
