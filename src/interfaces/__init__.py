"""The interfaces: HTTP endpoints and pages, Meta's webhook format, and the command line."""
