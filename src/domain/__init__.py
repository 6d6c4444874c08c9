"""The rules: entities and decisions, in plain Python, with no library and no I/O."""
