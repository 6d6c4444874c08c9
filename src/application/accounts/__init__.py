"""Accounts: organisations, members, sign-in and sessions."""
