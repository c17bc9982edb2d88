"""Rules: codes, safeguards, hours, states, retries, and what the carriers granted."""
