"""Who made each file, from what and how: lineages out of what is remembered, in several formats."""
