"""Tests of the API against its OpenAPI description."""
