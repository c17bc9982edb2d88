"""FACTS. PostgreSQL, and the only SQL in the tree."""
