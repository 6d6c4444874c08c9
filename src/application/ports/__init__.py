"""The ports: everything that the use cases ask of the outside, by consumer."""
