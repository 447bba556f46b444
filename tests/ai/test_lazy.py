"""The official clients cost a second and tens of megabytes: nobody loads them who does not call them."""

import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
LOOK = """
import sys
from apps.ai import anthropic, openai
providers = anthropic.AnthropicProvider(), openai.OpenAiProvider()
print(sorted({"openai", "anthropic", "httpx2", "aiohttp", "pydantic"} & sys.modules.keys()))
"""


def test_importing_and_making_a_provider_loads_no_client():
    look = subprocess.run([sys.executable, "-c", LOOK], cwd=HOUSE, capture_output=True, text=True, timeout=60)
    assert (look.stdout.strip(), look.stderr) == ("[]", "")
