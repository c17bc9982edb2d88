"""The world: people, handsets, carriers and the provider in front of them. It knows nothing of the gateway."""
