"""Ingestion: from a parsed delivery to rows in the storage, or to the spool."""
