"""What is remembered, on one HTML page: who ran, why, from what, and what it looks like."""
