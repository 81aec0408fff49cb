"""A MongoDB wire-protocol gateway in front of PostgreSQL with the DocumentDB extension, for tests only."""
