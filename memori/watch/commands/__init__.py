"""Commands, watched by strace where that is possible."""
