"""Instagram messaging: readers of its webhook payloads."""
