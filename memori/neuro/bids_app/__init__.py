"""A pipeline as a BIDS App: its command line, what it chooses, runs, saves and says."""
