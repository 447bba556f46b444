"""Knowledge in the admin: searched, written, and found at once."""

from django.urls import reverse

from apps.knowledge.models import KnowledgeItem
from apps.knowledge.search import search
from tests.factories.conversations import ChatbotFactory
from tests.factories.knowledge import KnowledgeItemFactory


def test_list_and_search(admin_client, django_assert_max_num_queries):
    chatbot = ChatbotFactory()
    for number in range(30):
        KnowledgeItemFactory(chatbot=chatbot, title=f"Lane {number}")
    with django_assert_max_num_queries(8):
        page = admin_client.get(reverse("admin:knowledge_knowledgeitem_changelist"), {"q": "lane 7"})
    assert "Lane 7" in page.content.decode()
    assert "Lane 8" not in page.content.decode()


def test_what_is_written_is_found(admin_client):
    chatbot = ChatbotFactory()
    form = {"chatbot": chatbot.pk, "title": "Lanes", "text": "One after the other."}
    address = reverse("admin:knowledge_knowledgeitem_add")
    assert admin_client.post(address, form).status_code == 302
    assert search(chatbot.pk, "lane")[0].title == "Lanes"
    again = admin_client.post(address, form)
    assert "already" in again.content.decode()
    assert KnowledgeItem.objects.count() == 1
