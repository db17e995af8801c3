"""Work placed on executors, waited for, and found again when a worker dies."""
