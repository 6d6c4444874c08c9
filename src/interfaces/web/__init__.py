"""The web interface: the webhook, the connections API, the pages, health checks and metrics."""
