"""The bank: campaigns, contacts, actions, assignments, inbox, reports and results."""
