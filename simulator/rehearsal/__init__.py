"""A rehearsal: the real gateway and the real PostgreSQL in the world of the model, in virtual time."""
