"""Parses Meta's webhook deliveries (WhatsApp, Instagram) and verifies that Meta sent them."""
