"""The version of memori, in one place: the build reads it from here, and so does everything else."""

__version__ = "0.1.0"
