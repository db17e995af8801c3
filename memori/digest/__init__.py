"""Digests: what a value or a file is, as text.

values    canonical JSON of the values that pass between stages
files     SHA-256 of files, remembered by their stat
formats   what a file means, whatever its packing (a registry; memori.neuro fills it)
streams   reading and inflating files fast, in bounded memory
folder    folders whose content counts
"""
