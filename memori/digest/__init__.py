"""Digests: what a value or a file is, as text.

values    canonical JSON of the values that pass between stages
files     SHA-256 and meaning of files, remembered by their stat
formats   what a file means, whatever its packing (a registry; memori.neuro fills it)
sources   the bytes of a file, inflated as they are read, in bounded memory
folder    folders whose content counts
memo      what a process remembers, and how much of it
"""
