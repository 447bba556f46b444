"""The same expectations on both databases: people ask in sentences, and any text is safe to ask."""

import pytest
from django.db import connection, transaction
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as HypothesisTestCase

from apps.knowledge import tsvector
from apps.knowledge.models import LONGEST_TEXT, KnowledgeItem
from apps.knowledge.search import Query, has_items, search, search_many
from tests.factories.conversations import ChatbotFactory
from tests.factories.knowledge import KnowledgeItemFactory

TEXTS = {
    "Opening hours": "The shop is open from nine to six, on Saturdays until two. It is closed on Sundays.",
    "Returns": "You can return what you bought within thirty days. We refund the price to your card.",
    "Shipping": "Parcels are delivered within three days. Shipping is free for orders above fifty euros.",
    "Payment": "We take credit cards, PayPal and bank transfers. You pay when you order.",
    "Warranty": "Every product has a warranty of two years. Broken things are repaired or replaced.",
    "Running the server": "Set DATABASE_URL in settings.py, or in the file deploy/production.env, then restart.",
    "Über uns": "Wir sind ein Café in Zürich, gegründet 1999.",
}


@pytest.fixture
def shop(db):
    chatbot = ChatbotFactory()
    for title, text in TEXTS.items():
        KnowledgeItemFactory(chatbot=chatbot, title=title, text=text)
    return chatbot


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("When are you open on Saturday?", "Opening hours"),
        ("Can I return a thing that I bought last week?", "Returns"),
        ("how long until it is DELIVERED", "Shipping"),
        ("Which credit cards do you take?", "Payment"),
        ("my lamp is broken, what about the warranty???", "Warranty"),
        ("I would like to know how the delivery of a parcel works, please", "Shipping"),
        ("where is DATABASE_URL set?", "Running the server"),
        ("database", "Running the server"),
        ("What is in settings.py?", "Running the server"),
        ("restart", "Running the server"),
        ("gibt es das Café in Zürich?", "Über uns"),
        ("warranty", "Warranty"),
        ('"opening" AND (hours) NOT closed* -sunday:', "Opening hours"),
        ("returns' OR 1=1; --", "Returns"),
    ],
)
def test_questions_find_their_answer(shop, question, title):
    found = search(shop.pk, question)
    assert found
    assert found[0].title == title
    assert found[0].text == TEXTS[title]
    assert found == sorted(found, key=lambda passage: -passage.score)
    assert all(passage.score > 0 for passage in found)


@pytest.mark.parametrize(
    "question",
    ["", "   ", "?!", "who are you and what do you do?", "the of and", "\x00", "\ud800", "quantum chromodynamics",
     "* OR NEAR(", "tell me a joke about elephants and gorillas playing cards", '"'],
)  # fmt: skip
def test_nothing_is_found_when_nothing_is_there(shop, question):
    assert search(shop.pk, question) == []


def test_stop_words_do_not_dominate(shop):
    """A text full of small words must not win over the one that has the word asked for."""
    KnowledgeItemFactory(
        chatbot=shop, title="What is this and how do I do it?", text="how do I do what you do " * 50
    )
    assert search(shop.pk, "How do I do a refund?")[0].title == "Returns"


def test_rare_words_weigh_more_than_common_ones(shop):
    for number in range(20):
        KnowledgeItemFactory(
            chatbot=shop, title=f"Switchboard {number}", text="Switchboard, the switchboard."
        )
    KnowledgeItemFactory(chatbot=shop, title="Flower", text="A page of Switchboard that shows its workers.")
    assert search(shop.pk, "switchboard workers")[0].title == "Flower"


def test_at_most_top(shop):
    for number in range(10):
        KnowledgeItemFactory(chatbot=shop, title=f"Warranty {number}", text="More about the warranty.")
    assert len(search(shop.pk, "warranty")) == 5
    assert len(search(shop.pk, "warranty", top=2)) == 2


def test_a_chatbot_finds_only_what_is_its_own(shop):
    other = ChatbotFactory()
    KnowledgeItemFactory(chatbot=other, title="Secret", text="The warranty of the other shop.")
    assert [passage.title for passage in search(other.pk, "warranty")] == ["Secret"]
    assert "Secret" not in [passage.title for passage in search(shop.pk, "warranty shop")]
    assert search(shop.pk, f"scope{other.pk}") == []
    assert search(other.pk + 1_000, "warranty") == []


def test_many_questions_in_one_statement(shop, django_assert_num_queries):
    other = ChatbotFactory()
    KnowledgeItemFactory(chatbot=other, title="Other", text="Warranty? None.")
    queries = [(shop.pk, "When are you open on Saturday?"), (other.pk, "warranty"), (shop.pk, "???")]
    queries += [(shop.pk, "my lamp is broken, what about the warranty?"), (other.pk, "elephants")] * 23
    with django_assert_num_queries(1):
        found = search_many(queries)
    assert [passages[0].title if passages else None for passages in found[:5]] == [
        "Opening hours", "Other", None, "Warranty", None,
    ]  # fmt: skip
    assert found[3] == search(shop.pk, queries[3][1])
    assert len(found) == len(queries)
    with django_assert_num_queries(0):
        assert search_many([(shop.pk, "?"), (shop.pk, "")]) == [[], []]
        assert search_many([]) == []


def test_more_words_than_a_statement_takes(shop):
    long = " ".join(f"word{number}" for number in range(100)) + " warranty"
    found = search_many([(shop.pk, "warranty " + long)] * 50)
    assert len(found) == 50
    assert search_many([(shop.pk, "broken warranty")] * 50)[49][0].title == "Warranty"


def test_the_index_follows_the_table(shop):
    item = KnowledgeItem.objects.get(title="Warranty")
    item.text = "Guarantees are given in writing."
    item.save()
    assert search(shop.pk, "repaired") == []
    assert search(shop.pk, "guarantee")[0].title == "Warranty"
    KnowledgeItem.objects.filter(pk=item.pk).update(title="Promises")
    assert search(shop.pk, "promise")[0].title == "Promises"
    other = ChatbotFactory()
    KnowledgeItem.objects.filter(pk=item.pk).update(chatbot=other)
    assert search(shop.pk, "guarantee") == []
    assert search(other.pk, "guarantee")[0].title == "Promises"
    KnowledgeItem.objects.filter(pk=item.pk).delete()
    assert search(other.pk, "guarantee") == []
    KnowledgeItem.objects.bulk_create([KnowledgeItem(chatbot=shop, title="Bulk", text="zebra")])
    assert search(shop.pk, "zebras")[0].title == "Bulk"
    with transaction.atomic():
        KnowledgeItemFactory(chatbot=shop, title="Undone", text="giraffe")
        transaction.set_rollback(True)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO knowledge_index(knowledge_index) VALUES ('integrity-check')")


def test_the_longest_text_is_taken(shop):
    words = " ".join(f"unwort{number}" for number in range(LONGEST_TEXT // 10))[: LONGEST_TEXT - 10]
    KnowledgeItemFactory(chatbot=shop, title="Long", text=f"needle {words}")
    assert search(shop.pk, "needle")[0].title == "Long"


def test_who_knows_anything(shop, django_assert_num_queries):
    empty = ChatbotFactory()
    with django_assert_num_queries(1):
        assert has_items([shop.pk, empty.pk, 99_999]) == {shop.pk}


def test_a_search_reads_only_its_own_chatbots_entries(shop):
    """With many chatbots, the plan goes through the index and not through the table."""
    others = ChatbotFactory.create_batch(3)
    KnowledgeItem.objects.bulk_create(
        [
            KnowledgeItem(
                chatbot=others[n % 3], title=f"Item {n}", text="The warranty of this product is long. " * 10
            )
            for n in range(6_000)
        ],
        batch_size=500,
    )
    assert search(shop.pk, "warranty")[0].title == "Warranty"
    if connection.vendor != "postgresql":
        return  # FTS5 has no other way
    sql, params = tsvector.statement([Query(0, shop.pk, ["warranty", "product"], 1)], 5)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE knowledge_knowledgeitem")
        cursor.execute("EXPLAIN (ANALYZE, COSTS OFF) " + sql, params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Bitmap Index Scan on knowledge_search" in plan, plan
    assert "Seq Scan on knowledge_knowledgeitem" not in plan
    assert "Rows Removed by Filter" not in plan


class TestAnyText(HypothesisTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.chatbot = ChatbotFactory()
        KnowledgeItemFactory(chatbot=cls.chatbot, title="Warranty", text="Two years.")

    @settings(max_examples=150, deadline=None)
    @given(st.text(st.characters(), max_size=200))  # surrogates and NUL among them
    @example('"')
    @example("a\x00b NEAR( ^ : { } + - *")
    @example("\ud800\udfff' \\ \" % %s %(x)s $1 ? :a")
    @example("&|!():*<->")
    @example("0x1F 1e400 -- /* */ 12345678901234567890")
    @example("ｗａｒｒａｎｔｙ İstanbul ǅ ﬁne \u0e01\u0e34 日本語 🂡")
    def test_never_raises(self, text):
        search(self.chatbot.pk, text)
        assert (
            search(self.chatbot.pk, f"warranty {text[:20]} years".replace("\ud800", ""))[0].title
            == "Warranty"
        )
