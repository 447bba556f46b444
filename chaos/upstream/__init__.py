"""The outside world in a process of its own, never restarted while a run goes on, and the only witness of it.

python -m chaos.upstream --directory <run> --seed 1 [--calm]

Telegram's Bot API and an OpenAI-shaped AI (tests/fakes), each behind a TCP proxy (proxy.py). Every call is a line of
upstream.jsonl before it is answered, with the fault that it met. Which fault a call meets is drawn from the seed, the
text and how often this text has come (drawing.py), so it does not depend on who comes first. Lines:

{"at", "api": "telegram", "moment": "begin"|"done"|"end", "call", "method", "token", "chat", "text", "sender", "fault",
 "status", "cut"}     done: 200 = it reached the person, else nothing was done; end: the answer went out, or was cut
{"at", "api": "ai", "moment": …, "call", "asked", "fault", "status"}
{"at", "api": "proxy", "of": "telegram"|"ai"|"second_ai", "swallowed": "there"|"back"}
{"at", "api": "control", "proxy"|"down"|"faults"|…: {…}}: what the nemesis asked for (steering.py)
"""
