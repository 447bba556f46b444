"""The chat page as it leaves the server. What it does in a browser: tests/browser."""

import re

import pytest

from apps.frontdoor.shipped import shipment
from tests.factories.conversations import ChannelAccountFactory, ChatbotFactory

pytestmark = pytest.mark.django_db


def page_of(client, **chatbot):
    account = ChannelAccountFactory.create(chatbot=ChatbotFactory.create(**chatbot))
    return client.get(f"/chat/{account.chatbot.public_id}")


def test_it_names_the_chatbot_and_greets(client):
    response = page_of(client, name="Ask Ada", greeting="Good <day>!")
    assert response.status_code == 200
    html = response.content.decode()
    assert "<title>Ask Ada · chat</title>" in html
    assert "Good &lt;day&gt;!" in html
    assert 'data-events="/api/v1/widget/events"' in html
    assert not response.cookies


def test_nothing_inline_and_nothing_from_elsewhere(client):
    response = page_of(client)
    html = response.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)
    assert not re.search(r'(src|href)="(https?:)?//', html)
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_all_its_files_exist(client):
    html = page_of(client).content.decode()
    files = re.findall(r'(?:src|href)="(/widget/[^"]+)"', html)
    assert len(files) == len(set(files)) > 10
    for file in files:
        assert client.get(file).status_code == 200, file
    assert f"/widget/{shipment().version}/page.js" in files


def test_all_modules_of_the_page_are_fetched_at_once(client):
    """What a module imports and the page doesn't name would be found out one after the other."""
    html = page_of(client).content.decode()
    named = set(re.findall(r'href="/widget/[^/]+/([^"]+\.js)"', html))
    needed, look_into = set(), ["page.js"]
    while look_into:
        script = shipment().files[look_into.pop()].body.decode()
        found = set(re.findall(r'from "\./([^"]+)"', script)) - needed
        needed |= found
        look_into += found
    assert named == needed


def test_the_stream_may_live_at_another_address(client, settings):
    settings.EVENTS_URL = "https://events.example.com/"
    response = page_of(client)
    assert 'data-events="https://events.example.com/api/v1/widget/events"' in response.content.decode()
    assert "connect-src 'self' https://events.example.com;" in response["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["x", "4711", "897fca75-810d-45b7-9053-2d90ae3dd214", "%00"])
def test_where_there_is_no_chat_it_says_so_kindly(client, path):
    response = client.get(f"/chat/{path}")
    assert response.status_code == 404
    assert "There is no chat here" in response.content.decode()


@pytest.mark.parametrize("what", ["account", "chatbot", "customer"])
def test_a_chat_that_is_switched_off(client, what):
    account = ChannelAccountFactory.create()
    thing = {"account": account, "chatbot": account.chatbot, "customer": account.chatbot.customer}[what]
    thing.is_active = False
    thing.save()
    assert client.get(f"/chat/{account.chatbot.public_id}").status_code == 404


def test_only_to_be_looked_at(client):
    account = ChannelAccountFactory.create()
    assert client.post(f"/chat/{account.chatbot.public_id}").status_code == 405
