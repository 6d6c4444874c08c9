"""Tests: each folder is a kind of test; `support` holds what they share."""
