"""A channel and an AI provider that live outside the house, plugged in through the registries by settings."""
