"""Textbank's gateway: it sends and receives a campaign's texts."""
