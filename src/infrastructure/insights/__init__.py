"""The insight providers, one module each: they describe what a message means for the sale."""
