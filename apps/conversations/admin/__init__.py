"""Admin pages: chatbots, channel accounts, contacts, conversations as transcripts, messages to read."""

from apps.conversations.admin import chatbots, conversations

__all__ = ["chatbots", "conversations"]
