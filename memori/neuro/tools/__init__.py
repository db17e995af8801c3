"""Which program a name stands for: its version, its suite, the environment it listens to."""
