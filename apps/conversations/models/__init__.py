"""Who talks with whom about what: chatbots and their channel accounts, contacts, conversations, messages."""

from apps.conversations.models.chatbots import ChannelAccount, Chatbot
from apps.conversations.models.conversations import Contact, Conversation
from apps.conversations.models.messages import Message

__all__ = ["ChannelAccount", "Chatbot", "Contact", "Conversation", "Message"]
