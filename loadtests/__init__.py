"""Load tests: the gateway over HTTP, driven by Locust."""
