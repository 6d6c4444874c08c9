"""The process: settings, the container that connects ports with adapters, and the commands."""
