"""Recovery: what is done about deliveries and messages that could not be stored at once."""
