"""Where packets come in: the web, Meta's JSON, the command line."""
