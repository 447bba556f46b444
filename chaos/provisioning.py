"""Who there is: one customer with two AI accounts, the second asked when the first fails, and three Telegram bots, set
up as an operator would, by `manage.py provision`.

bot     when nobody knows whether a message arrived     how long its AI may take
again   send again                                      PATIENCE
ask     ask a person                                    PATIENCE
hurry   send again                                      HURRY: when it is over, the fallback goes out

Each answers every message by itself, so that one message accepted is one reply.
"""

import json
from pathlib import Path
from typing import Any

from chaos.journal import Line
from tests.servers.ai import KEY, MODEL

PATIENCE, HURRY = 90, 6
FALLBACK = "nobody is there"
CUSTOMER = "Chaos"
AI_TIMEOUT = 5


def setup_file(path: Path, upstream: Line) -> Path:
    """Write the TOML that `provision --file` reads."""
    lines = [
        f'[[customers]]\nname = "{CUSTOMER}"',
        '[[customers.api_keys]]\nname = "producer"\nscopes = ["messages:write", "messages:read"]',
    ]
    for name in ("ai", "second_ai"):
        lines += [
            "[[customers.ai_accounts]]",
            f'name = "{name}"\nprovider = "openai"\nmodel = "{MODEL}"\ntimeout_seconds = {AI_TIMEOUT}',
            f'base_url = "{upstream[name]}"\ncredentials = {{ api_key = "{KEY}" }}',
        ]
    for bot, token in upstream["bots"].items():
        lines += [
            "[[customers.chatbots]]",
            f'name = "{bot}"\nai = ["ai", "second_ai"]\nanswer_each_message = true\ngreeting = ""',
            f'max_wait = {HURRY if bot == "hurry" else PATIENCE}\nfallback_message = "{FALLBACK}"',
            '[[customers.chatbots.accounts]]\nchannel = "telegram"',
            f'on_unknown = "{"ask_person" if bot == "ask" else "send_again"}"',
            f'credentials = {{ bot_token = "{token}" }}',
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def found_in(said: str) -> dict[str, Any]:
    """What `provision` printed: the API key, and for each bot the account's id and its webhook's secret."""
    customer = json.loads(said[said.index("\n{") :] if not said.startswith("{") else said)["customers"][0]
    bots = {}
    for chatbot in customer["chatbots"]:
        (account,) = chatbot["accounts"]
        bots[chatbot["name"]] = {"account": account["id"], "secret": account["secrets"]["secret_token"]}
    return {"api_key": customer["api_keys"][0]["secret"], "bots": bots}
