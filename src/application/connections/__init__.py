"""Connections: which numbers and accounts belong to which organisation, and who manages them."""
