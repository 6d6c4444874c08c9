"""Benchmarks that compare Leadport with a straightforward service, an idle server and plain SQL."""
