"""The ports: the interfaces through which use cases reach storage, disk, time and providers."""
