"""Golden deliveries: what each of Meta's payloads becomes."""
