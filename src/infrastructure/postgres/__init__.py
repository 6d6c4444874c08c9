"""The PostgreSQL adapter: tables, repositories, transactions, pools and migrations."""
