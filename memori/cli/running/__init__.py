"""What the command line runs: commands (`invocation`) and Python programs (`program`)."""
