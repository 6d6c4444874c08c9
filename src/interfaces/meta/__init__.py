"""Meta's JSON, read tolerantly: what Meta sends changes without notice and must never be lost."""
