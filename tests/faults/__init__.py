"""Tests of the running service under faults, with a reconciliation of every message."""
