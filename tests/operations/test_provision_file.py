"""`manage.py provision --file`: the worked example, several of each, and mistakes named with their line."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from apps.accounts.models import Customer
from apps.conversations.models import Chatbot, ChatbotAi
from apps.knowledge.models import KnowledgeItem
from tests.operations.provisioning import TOKEN, provision, registries

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("registries")]
__all__ = ["registries"]
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "setup.toml"
WHOLE = """
[[plans]]
name = "Pro"
monthly_price = 49.5

[[customers]]
name = "Acme"
plan = "Pro"

[[customers.ai_accounts]]
name = "main"
provider = "oracle"
credentials = { api_key = "@ai-key" }

[[customers.ai_accounts]]
name = "reserve"
provider = "oracle"
base_url = "http://127.0.0.1:11434/v1/"

[[customers.chatbots]]
name = "Helpdesk"
system_prompt = "@prompt.md"
ai = ["main", { account = "reserve", model = "small" }]

[[customers.chatbots.accounts]]
channel = "pager"
credentials = { bot_token = "env:PAGER_TOKEN" }

[[customers.chatbots]]
name = "Sales"
ai = ["reserve"]

[[customers.api_keys]]
name = "shop"
scopes = ["messages:write"]
expires_in_days = 30

[[customers]]
name = "Other"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ai-key").write_text("planted-ai-key\n")
    (tmp_path / "prompt.md").write_text("Be brief.\n")
    monkeypatch.setenv("PAGER_TOKEN", TOKEN)
    return tmp_path / "setup.toml"


def from_text(file: Path, text: str) -> tuple[dict[str, Any], str]:
    file.write_text(text)
    return provision("--file", str(file))


def test_the_worked_example() -> None:
    found, _ = provision("--file", str(EXAMPLE))
    (customer,) = found["customers"]
    (chatbot,) = customer["chatbots"]
    assert chatbot["accounts"][0]["chat_page"] == f"https://chat.example.com/chat/{chatbot['id']}"
    assert customer["api_keys"][0]["secret"].startswith("sb_")
    assert KnowledgeItem.objects.count() == 2
    assert provision("--file", str(EXAMPLE))[0]["changed"] is False


def test_the_examples_commented_keys_are_understood_as_well(settings: Any, tmp_path: Path) -> None:
    """Every `# key = value` of the example, switched on; only what this installation can't know is replaced."""
    lines = []
    for line in EXAMPLE.read_text().splitlines():
        is_key = re.match(r"# (\[\[[\w.]+\]\]|[a-z_]+ = )", line)
        lines.append(line.removeprefix("# ") if is_key else line)
    text = "\n".join(lines).replace('system_prompt = "You', '# system_prompt = "You')
    text = re.sub(r'provider = "(openai|anthropic)"', 'provider = "oracle"', text)
    text = text.replace('channel = "telegram"', 'channel = "pager"').replace("env:TELEGRAM_BOT_TOKEN", TOKEN)
    text = text.replace("env:OPENAI_API_KEY", "planted-ai-key")
    (tmp_path / "prompt.md").write_text("Be brief.")
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "one.md").write_text("# One\n\nText")
    (tmp_path / "setup.toml").write_text(text)
    found, _ = provision("--file", str(tmp_path / "setup.toml"))
    (chatbot,) = found["customers"][0]["chatbots"]
    assert chatbot["ai"] == ["hosted", "own server"]
    assert [one["channel"] for one in chatbot["accounts"]] == ["widget", "pager"]
    assert Chatbot.objects.get().system_prompt == "Be brief."


def test_several_of_each_and_again(file: Path) -> None:
    found, _ = from_text(file, WHOLE)
    assert [one["name"] for one in found["customers"]] == ["Acme", "Other"]
    assert Chatbot.objects.get(name="Helpdesk").system_prompt == "Be brief."
    order = ChatbotAi.objects.filter(chatbot__name="Helpdesk")
    assert [(one.account.name, one.model) for one in order] == [("main", ""), ("reserve", "small")]
    assert order[0].account.credentials == {"api_key": "planted-ai-key"}
    assert order[1].account.base_url == "http://127.0.0.1:11434/v1"
    assert found["customers"][0]["api_keys"][0]["expires_at"]
    assert from_text(file, WHOLE)[0]["changed"] is False


def test_the_order_is_the_files(file: Path) -> None:
    from_text(file, WHOLE)
    found, _ = from_text(
        file, WHOLE.replace('["main", {', "[{").replace('model = "small" }]', 'model = "" }, "main"]')
    )
    assert found["customers"][0]["chatbots"][0]["ai"] == ["reserve", "main"]
    from_text(file, WHOLE.replace('["main", { account = "reserve", model = "small" }]', "[]"))
    assert not ChatbotAi.objects.filter(chatbot__name="Helpdesk").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'name = "Sales"',
            'name = "Sales"\nmax_wiat = 3',
            ["line 31", 'chatbots "Sales" › max_wiat', "max_wait"],
        ),
        ("[[customers.api_keys]]", "[[customers.apikeys]]", ["line 33", "apikeys", "did you mean api_keys"]),
        ("[[plans]]", "[[plan]]", ["setup.toml: plan: is unknown", "did you mean plans"]),
        ('ai = ["reserve"]', 'ai = ["reserv"]', ["no AI account 'reserv'", "did you mean reserve"]),
        ('plan = "Pro"', 'plan = "Prp"', ["line 8", "did you mean Pro"]),
        (
            "credentials = { bot_token",
            'options = { pace = "fast" }\ncredentials = { bot_token',
            ["options", "pace must be a number"],
        ),
        ("bot_token = ", "bot_tokn = ", ["credentials › bot_tokn", "did you mean bot_token"]),
        ('"@ai-key"', '"@no-such-file"', ["no-such-file can't be read"]),
        ('{ api_key = "@ai-key" }', '"planted-secret"', ["must be a table, not a text"]),
        ("monthly_price = 49.5", 'monthly_price = "much"', ["line 4", "must be a number, not a text"]),
        ("expires_in_days = 30", "expires_in_days = 0", ["from 1 to 36500"]),
        ('name = "Sales"', 'name = "Helpdesk"', ["stands there twice"]),
        ('name = "Other"', "", ["customers 2 › name: is missing"]),
        ('name = "Other"', 'name = "Other', ["is not TOML", "line 39"]),
        (
            'provider = "oracle"\ncredentials',
            'provider = "builtin"\ncredentials',
            ["builtin needs no account"],
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(file: Path, old: str, new: str, says: list[str]) -> None:
    assert old in WHOLE
    with pytest.raises(CommandError) as refused:
        from_text(file, WHOLE.replace(old, new, 1))
    for words in says:
        assert words in str(refused.value)
    assert "planted" not in str(refused.value)
    assert not Customer.objects.exists()


def test_a_file_and_options_are_not_mixed(file: Path) -> None:
    file.write_text(WHOLE)
    with pytest.raises(CommandError, match="write them into the file"):
        provision("--file", str(file), "--customer=Acme")
    with pytest.raises(CommandError, match="can't be read"):
        provision("--file", str(file.with_name("missing.toml")))
    with pytest.raises(CommandError, match="nothing is asked for"):
        from_text(file, "")
