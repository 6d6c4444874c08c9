"""Providers that say what a message means for the sale; one file each."""
