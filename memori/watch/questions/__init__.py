"""What is asked about files that are not opened, and the answers."""
