"""Tests of PostgreSQL: races, row-level security, migrations, pools, the embedded server."""
