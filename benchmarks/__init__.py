"""How fast Leadport is beside a straightforward service, an idle server and plain SQL."""
