"""Which program a name stands for: its version, its suite, what of the environment counts."""
