"""The signature of a stage: what goes in and comes out, and in which shape."""
