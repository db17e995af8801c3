"""The traits of interfaces: what part each plays, and their values as JSON."""
