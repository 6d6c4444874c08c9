"""What the service does: one file a use case, and the ports they need."""
