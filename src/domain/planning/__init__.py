"""Decisions over batches (D1): which contacts, threads, messages, deals a delivery changes."""
