"""Tests that run over every storage adapter."""
