"""The auditor: judges a rehearsal from what the model knows, and the gateway's books against it."""
