"""Admin pages: chatbots with their channel and AI accounts, contacts, conversations as transcripts, messages."""

from apps.conversations.admin import ai_accounts, channel_accounts, chatbots, conversations, people

__all__ = ["ai_accounts", "channel_accounts", "chatbots", "conversations", "people"]
