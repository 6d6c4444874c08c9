"""Where things are kept and who is asked: the adapters behind the ports."""
