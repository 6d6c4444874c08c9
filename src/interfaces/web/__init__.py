"""The doors: Meta's webhooks, and what operators ask."""
