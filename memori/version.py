"""The version of memori, in one place: the build and everything else read it from here."""

__version__ = "0.1.0"
