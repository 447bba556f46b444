"""The example of the demo: made once, put right when it is made again, never doubled."""

from pathlib import Path

import pytest

from apps.accounts.models import ApiKey, Customer, Plan, User
from apps.accounts.services import authenticate_api_key, revoke_api_key
from apps.conversations.models import ChannelAccount, Chatbot
from apps.knowledge.models import KnowledgeItem
from apps.operations.demo.provision import Example, documentation, provision_demo

pytestmark = pytest.mark.django_db
TEXTS = [("Opening hours", "We are open from nine to five.")]


def provisioned(api_key: str = "", password: str = "first-password") -> Example:
    return provision_demo(admin_name="admin", admin_password=password, api_key=api_key, texts=TEXTS)


def test_it_makes_an_example_that_works() -> None:
    example = provisioned()
    key = authenticate_api_key(example.api_key)
    assert key is not None
    account = ChannelAccount.objects.get(public_id=example.account)
    assert account.channel == "widget"
    assert account.chatbot.customer == key.customer
    assert str(account.chatbot.public_id) == example.chatbot
    assert account.chatbot.provider == "builtin"
    assert KnowledgeItem.objects.filter(chatbot=account.chatbot, title__startswith="Opening hours").exists()
    assert User.objects.get(username="admin", is_superuser=True).check_password("first-password")


def test_again_changes_nothing() -> None:
    first = provisioned()
    assert provisioned(first.api_key) == first
    models = (Plan, Customer, Chatbot, ChannelAccount, ApiKey, User)
    assert [model.objects.count() for model in models] == [1] * len(models)


def test_again_puts_right_what_was_changed() -> None:
    first = provisioned()
    key = authenticate_api_key(first.api_key)
    assert key is not None
    revoke_api_key(key=key)
    ChannelAccount.objects.update(is_active=False)
    User.objects.update(is_staff=False)
    second = provisioned(first.api_key, "second-password")
    assert second.account == first.account
    assert second.api_key != first.api_key
    assert authenticate_api_key(second.api_key)
    assert ChannelAccount.objects.get().is_active
    assert User.objects.get(is_staff=True).check_password("second-password")


def test_the_documentation_is_the_projects_own(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "README.md").write_text("\n# The house\nText")
    (tmp_path / "docs" / "deep" / "page.md").write_text("no heading")
    assert [title for title, _ in documentation(tmp_path)] == ["The house", "page"]
    assert documentation(tmp_path / "nowhere") == []
