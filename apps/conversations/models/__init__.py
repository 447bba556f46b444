"""Who talks with whom about what: chatbots with their channel and AI accounts, contacts, conversations, messages."""

from apps.conversations.models.ai_accounts import AiAccount, ChatbotAi
from apps.conversations.models.chatbots import ChannelAccount, Chatbot
from apps.conversations.models.conversations import Contact, Conversation
from apps.conversations.models.messages import Message

__all__ = ["AiAccount", "ChannelAccount", "Chatbot", "ChatbotAi", "Contact", "Conversation", "Message"]
