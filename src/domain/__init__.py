"""The domain: entities and decisions in plain Python, without libraries and without I/O."""
