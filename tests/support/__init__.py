"""Builders, harnesses and adapters that several kinds of tests share."""
