"""The demo: a few real images, a preprocessing pipeline, and a memory.

subjects        makes a small BIDS dataset from images that installed packages carry
preprocessing   the pipeline, as a user of memori would write it
session         runs it over the dataset and says what ran and what was remembered
"""
