"""Tests of the commands and the server as processes."""
