"""PostgreSQL behind the ports: tables, statements, transactions, migrations."""
