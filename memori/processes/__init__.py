"""Processes: what they hold, what they started, and what ends with them."""
