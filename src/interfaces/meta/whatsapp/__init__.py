"""Parses webhook deliveries of the WhatsApp Cloud API."""
