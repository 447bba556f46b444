"""Stateful fakes of the chat APIs: real HTTP servers that refuse what the real ones refuse."""
