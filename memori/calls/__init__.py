"""One call of a stage: decided, run, seen and recorded."""
