"""`manage.py provision` with options: made once, updated by name, secrets in the JSON alone."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from apps.accounts.models import ApiKey, Customer, Plan
from apps.accounts.services import authenticate_api_key
from apps.conversations.models import AiAccount, ChannelAccount, Chatbot, ChatbotAi
from apps.knowledge.models import KnowledgeItem
from tests.operations.provisioning import TOKEN, provision, registries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registries")]
__all__ = ["registries"]
MODELS = (Plan, Customer, Chatbot, ChannelAccount, AiAccount, ChatbotAi, ApiKey)
ALL = (
    "--customer=Acme",
    "--plan=Pro",
    "--price=49",
    "--chatbot=Helpdesk",
    "--system-prompt=You help.",
    "--max-wait=25",
    "--channel=pager",
    f"--credential=bot_token={TOKEN}",
    "--option=colour=red",
    "--ai=oracle",
    "--ai-base-url=http://oracle:8000/v1",
    "--ai-model=delphi-2",
    "--ai-key=planted-ai-key",
    "--api-key=web site",
)


def counts() -> list[int]:
    return [model.objects.count() for model in MODELS]


def only(found: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The customer, its chatbot, the chatbot's account."""
    (customer,) = found["customers"]
    (chatbot,) = customer["chatbots"]
    (account,) = chatbot["accounts"]
    return customer, chatbot, account


def test_everything_is_made_and_told() -> None:
    found, _ = provision(*ALL)
    customer, chatbot, account = only(found)
    stored = ChannelAccount.objects.get()
    assert found["changed"] is True
    assert found["plans"] == [{"name": "Pro", "outcome": "created", "monthly_price": "49.00", "priority": 5}]
    assert customer["id"] == str(Customer.objects.get(name="Acme", plan__name="Pro").public_id)
    assert chatbot["id"] == str(stored.chatbot.public_id)
    assert (stored.chatbot.system_prompt, stored.chatbot.max_wait) == ("You help.", 25)
    assert account["id"] == str(stored.public_id)
    assert account["webhook"] == f"https://chat.example.com/webhooks/pager/{stored.public_id}"
    assert stored.credentials == {"bot_token": TOKEN, "secret_token": account["secrets"]["secret_token"]}
    assert len(account["secrets"]["secret_token"]) >= 43
    assert stored.options == {"colour": "red"}
    (step,) = ChatbotAi.objects.all()
    assert (step.account.base_url, step.account.model) == ("http://oracle:8000/v1", "delphi-2")
    assert step.account.credentials == {"api_key": "planted-ai-key"}
    assert chatbot["ai"] == ["oracle"]
    key = authenticate_api_key(customer["api_keys"][0]["secret"])
    assert key is not None
    assert key.customer.name == "Acme"


def test_a_repetition_changes_nothing_and_keeps_the_made_secret() -> None:
    first, _ = provision(*ALL)
    before = counts()
    second, said = provision(*ALL)
    assert counts() == before == [1] * len(MODELS)
    assert second["changed"] is False
    assert only(second)[2]["secrets"] == only(first)[2]["secrets"]
    (key,) = second["customers"][0]["api_keys"]
    assert (key["outcome"], key["secret"]) == ("exists", None)
    assert "created" not in said
    assert "updated" not in said


def test_what_is_named_is_changed_and_the_rest_stays() -> None:
    provision(*ALL)
    found, said = provision("--customer=Acme", "--chatbot=Helpdesk", "--max-wait=60")
    chatbot = Chatbot.objects.get()
    assert (chatbot.max_wait, chatbot.system_prompt) == (60, "You help.")
    assert Customer.objects.get().plan is not None
    assert "updated    chatbot Helpdesk: max_wait" in said
    assert found["changed"] is True


def test_a_new_token_replaces_the_old_one_beside_the_made_secret() -> None:
    first, _ = provision(*ALL)
    token = "654321:another-token-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
    provision("--customer=Acme", "--chatbot=Helpdesk", "--channel=pager", f"--credential=bot_token={token}")
    assert ChannelAccount.objects.get().credentials == {
        "bot_token": token,
        "secret_token": only(first)[2]["secrets"]["secret_token"],
    }


def test_credentials_that_no_key_opens_are_entered_again(settings: Any) -> None:
    provision(*ALL)
    settings.ENCRYPTION_KEYS = ["another-key-of-the-tests-0123456789-abcdefghij"]
    with pytest.raises(CommandError, match=r"can't be decrypted.*ENCRYPTION_KEYS"):
        provision("--customer=Acme", "--chatbot=Helpdesk", "--channel=pager")
    provision(*ALL)
    assert ChannelAccount.objects.get().credentials["bot_token"] == TOKEN


def test_secrets_stand_in_the_json_alone(caplog: pytest.LogCaptureFixture) -> None:
    found, said = provision(*ALL)
    customer, _, account = only(found)
    for secret in (
        customer["api_keys"][0]["secret"],
        account["secrets"]["secret_token"],
        TOKEN,
        "planted-ai-key",
    ):
        assert secret not in said + caplog.text
    assert TOKEN not in str(found)
    assert "planted-ai-key" not in str(found)


def test_secrets_written_openly_are_warned_about(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, said = provision(*ALL)
    assert "--credential bot_token stands on the command line" in said
    assert "--ai-key stands on the command line" in said
    monkeypatch.setenv("PAGER_TOKEN", TOKEN)
    (tmp_path / "key").write_text("planted-ai-key\n")
    same = [one for one in ALL if not one.startswith(("--credential", "--ai-key"))]
    found, said = provision(*same, "--credential=bot_token=env:PAGER_TOKEN", f"--ai-key=@{tmp_path / 'key'}")
    assert found["changed"] is False
    assert "command line" not in said


def test_a_dry_run_shows_and_keeps_nothing() -> None:
    found, said = provision(*ALL, "--dry-run")
    customer, chatbot, account = only(found)
    assert counts() == [0] * len(MODELS)
    assert found["changed"] is True
    assert "created    chatbot Helpdesk" in said
    assert [customer["id"], chatbot["id"], account["id"], account["webhook"]] == [None] * 4
    assert customer["api_keys"][0]["secret"] is None
    assert account["secrets"] == {"secret_token": None}


def test_a_key_is_rotated_when_asked() -> None:
    first, _ = provision(*ALL)
    second, _ = provision(*ALL, "--rotate-key")
    old, new = (found["customers"][0]["api_keys"][0] for found in (first, second))
    assert new["outcome"] == "rotated"
    assert authenticate_api_key(new["secret"])
    assert authenticate_api_key(old["secret"]) is None


def test_a_key_with_other_scopes_is_pointed_out() -> None:
    provision("--customer=Acme", "--api-key=web", "--scope=messages:read")
    _, said = provision("--customer=Acme", "--api-key=web")
    assert "may do messages:read; --rotate-key" in said


def test_another_ai_is_asked_after_the_first(caplog: pytest.LogCaptureFixture) -> None:
    provision(*ALL)
    found, said = provision(
        "--customer=Acme", "--chatbot=Helpdesk", "--ai=oracle", "--ai-name=reserve", "--ai-model=delphi-1"
    )
    assert only_chatbot(found)["ai"] == ["oracle", "reserve"]
    assert "asks reserve when oracle has failed" in said


def only_chatbot(found: dict[str, Any]) -> dict[str, Any]:
    (chatbot,) = found["customers"][0]["chatbots"]
    return chatbot


def test_knowledge_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "hours.md").write_text("# Opening hours\n\nFrom nine to five.")
    (tmp_path / "deep" / "hours.md").write_text("# Opening hours\n\nOf the shop: from ten.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    arguments = ("--customer=Acme", "--chatbot=Helpdesk", f"--knowledge={tmp_path}")
    found, _ = provision(*arguments)
    assert only_chatbot(found)["knowledge"]["created"] == 2
    assert KnowledgeItem.objects.count() == 2
    assert only_chatbot(provision(*arguments)[0])["knowledge"]["unchanged"] == 2


def test_accounts_are_told_apart_by_name() -> None:
    base = ("--customer=Acme", "--chatbot=Helpdesk", "--channel=widget")
    provision(*base, "--account-name=shop")
    provision(*base)  # the only one
    assert ChannelAccount.objects.count() == 1
    provision(*base, "--account-name=blog")
    with pytest.raises(CommandError, match="'blog', 'shop'"):
        provision(*base)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--customer NAME"),
        (("--chatbot=X",), "--chatbot needs --customer"),
        (("--customer=A", "--credential=a=b"), "--credential needs --channel"),
        (("--plan=Pro",), "--plan needs --price"),
        (("--customer=A", "--plan=Pro"), "there is no plan 'Pro'"),
        (("--customer=A", "--plan=Pro", "--price=-1"), "greater than or equal to 0"),
        (("--customer=A", "--chatbot=X", "--channel=pagr"), "did you mean pager"),
        (("--customer=A", "--chatbot=X", "--channel=pager"), "bot_token is missing: get one from"),
        (("--customer=A", "--chatbot=X", "--channel=pager", "--credential=bot_token=x"), "has no colon"),
        (
            ("--customer=A", "--chatbot=X", "--channel=pager", "--credential=bot_tokn=x"),
            "did you mean bot_token",
        ),
        (("--customer=A", "--chatbot=X", "--channel=pager", "--credential=planted"), "is written NAME=VALUE"),
        (
            ("--customer=A", "--chatbot=X", "--channel=pager", "--credential=bot_token=env:NO_SUCH"),
            "NO_SUCH is not",
        ),
        (("--customer=A", "--chatbot=X", "--max-wait=500"), "max_wait: Ensure this value is less"),
        (("--customer=A", "--ai=orcle"), "did you mean oracle"),
        (("--customer=A", "--ai=oracle", "--ai-base-url=oracle:80"), "base_url"),
        (("--customer=A", "--api-key=k", "--scope=message:read"), "did you mean messages:read"),
        (("--customer=A", "--chatbot=X", "--knowledge=/nowhere"), "no file or folder /nowhere"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_half_done(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError) as refused:
        provision(*arguments)
    assert says in str(refused.value)
    assert "Nothing was changed." in str(refused.value)
    assert "planted" not in str(refused.value)
    assert counts() == [0] * len(MODELS)


def test_the_same_bot_twice_is_a_slip() -> None:
    provision(*ALL)
    with pytest.raises(CommandError, match=r"in use by account.*Helpdesk of Acme"):
        provision(
            "--customer=Acme", "--chatbot=Helpdesc", "--channel=pager", f"--credential=bot_token={TOKEN}"
        )
    assert Chatbot.objects.count() == 1


def test_two_customers_of_one_name_are_not_guessed_between() -> None:
    Customer.objects.create(name="Acme")
    Customer.objects.create(name="Acme")
    with pytest.raises(CommandError, match="several customers called Acme"):
        provision("--customer=Acme")


def test_without_a_public_address_it_is_asked_for(settings: Any) -> None:
    settings.PUBLIC_URL = ""
    found, said = provision(*ALL)
    assert only(found)[2]["webhook"] is None
    assert "PUBLIC_URL is not set" in said


def test_an_ai_account_without_a_model_is_pointed_out() -> None:
    assert "names no model" in provision("--customer=Acme", "--ai=oracle")[1]
    assert "names no model" not in provision("--customer=Acme", "--ai=oracle", "--ai-model=delphi-2")[1]
