"""Libraries that open files in C, of which Python tells no audit hook."""
