"""Tests of single modules, without storage."""
