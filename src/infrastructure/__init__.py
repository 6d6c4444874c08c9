"""The adapters that implement the ports: PostgreSQL, memory, spool, tokens, insight providers."""
