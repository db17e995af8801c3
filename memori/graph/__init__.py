"""The graph of a pipeline: lines, conditions, fan-out over lists and reduction over cases."""
