"""THE DOOR: the API, the provider's webhooks, health, and the pages that explain them."""
