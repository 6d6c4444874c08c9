"""WhatsApp Cloud API: readers of its webhook payloads."""
