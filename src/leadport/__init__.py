"""The process: settings read once, which adapter stands behind which port, the command line."""
