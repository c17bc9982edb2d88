"""The text bank's decisions: who may do what. Pure; the use cases (gateway/p2p) ask here."""
