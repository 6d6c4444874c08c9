"""The application: use cases by capability, queries, and the ports that they need."""
