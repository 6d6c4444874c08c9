"""Golden deliveries: what Meta posts, and what Leadport stores of it. See README.md."""
