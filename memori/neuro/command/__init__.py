"""Command lines as stages: templates, outputs, containers, errors."""
