"""A pipeline over many cases: what runs, what comes of it, and what is seen meanwhile."""
