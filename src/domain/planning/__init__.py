"""Decisions over batches: which contacts, threads, messages and deals a delivery creates or changes."""
