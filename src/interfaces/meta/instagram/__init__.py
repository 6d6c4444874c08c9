"""Parses webhook deliveries of Instagram messaging."""
