"""Switchboard: one web and one worker process, on PostgreSQL + Redis or on SQLite + the server in the box."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.servers import ROOT, Postgres, Redis, free_port, start, stop, wait_for_port
from bench.sides.running import Running, Side

QUEUES = "incoming-messages,ai-processing,outgoing-messages,bench-send,widget-send,telegram-send,maintenance"
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
PROGRAMS = Path(sys.executable).parent


@dataclass
class Switchboard(Side):
    """`postgres` None means SQLite and the embedded server. `backlog` puts a million rows into the ledger first.

    channel    bench, or telegram: in by the webhook, out by the real adapter
    ai         standin, or openai: the real provider with the official client
    unlimited  Telegram with limits that nobody reaches (bench/plugin/telegram.py)
    """

    postgres: Postgres | None
    standin_url: str
    directory: Path
    backlog: bool = False
    channel: str = "bench"
    ai: str = "standin"
    unlimited: bool = True
    workers: int = 1
    threads: int = 16
    blocking_threads: int = int(os.environ.get("BENCH_WEB_THREADS", "32"))
    tuning: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = "switchboard"
        database = "PostgreSQL + Redis" if self.postgres else "SQLite + embedded"
        real = {"telegram": "Telegram" if self.unlimited else "Telegram, its limits kept", "openai": "openai"}
        more = [real[name] for name in (self.channel, self.ai) if name in real]
        more += ["a million rows"] if self.backlog else []
        self.label = f"Switchboard ({', '.join([database, *more])})"
        kind = f"{self.channel}_{self.ai}_{'rows' if self.backlog else 'empty'}"
        self._file = self.directory / "switchboard.sqlite3"
        self._prepared = self.directory / f"prepared-{kind}.sqlite3"
        self._template = f"switchboard_{kind}"
        self._ready: dict[str, Any] | None = None

    def _env(self, *, database: str, redis: Redis | None = None) -> dict[str, str]:
        return {
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only-for-the-yardstick-" + "x" * 40,
            "ENCRYPTION_KEYS": "only-for-the-yardstick-" + "x" * 40,
            "ALLOWED_HOSTS": "127.0.0.1",
            "DEBUG": "false",
            "HTTPS": "false",
            "DATABASE_URL": database,
            "REDIS_URL": redis.url if redis else "redis://127.0.0.1:1/0",  # migrating needs none
            "BROKER_URL": redis.broker_url if redis else "",
            "EXTRA_CHANNELS": ",".join(self._channels()),
            "TELEGRAM_API_URL": self.standin_url,
            "EXTRA_AI_PROVIDERS": "standin=bench.plugin.provider.StandinProvider",
            "BENCH_STANDIN_URL": self.standin_url,
            "LOG_LEVEL": "WARNING",
            **self.tuning,
        }

    def _channels(self) -> list[str]:
        found = ["bench=bench.plugin.channel.BenchChannel"]
        if self.channel == "telegram" and self.unlimited:
            found.append("telegram=bench.plugin.telegram.UnlimitedTelegram")
        return found

    def _manage(self, env: dict[str, str], *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def _prepare(self, slow_seconds: float) -> dict[str, Any]:
        """Migrate and provision once; every round starts from a copy of that."""
        if self._ready is not None:
            return self._ready
        if self.postgres:
            self.postgres.create(self._template)
            env = self._env(database=self.postgres.url(self._template))
        else:
            env = self._env(database=f"sqlite:///{self._prepared}")
        self._manage(env, "manage.py", "migrate", "--verbosity", "0")
        facts = self._manage(
            env,
            *("-m", "bench.provision", "--slow", str(slow_seconds), "--channel", self.channel),
            *("--ai", self.ai, "--url", self.standin_url),
        )
        if self.backlog:
            self._manage(env, "-m", "bench.ledger_rows")
        self._ready = json.loads(facts.splitlines()[-1])
        return self._ready

    def _fresh_database(self) -> str:
        if self.postgres:
            self.postgres.create("switchboard", template=self._template)
            return self.postgres.url("switchboard")
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._prepared, self._file)
        return f"sqlite:///{self._file}"

    def web_command(self, port: int) -> list[str]:
        return [
            str(PROGRAMS / "granian"), "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--no-ws", "--no-access-log", "--log-level", "warning",
            "project.asgi:application",
        ]  # fmt: skip

    def worker_command(self, number: int) -> list[str]:
        return [
            str(PROGRAMS / "celery"), "-A", "project", "worker", "-P", "threads", "-c", str(self.threads),
            "--without-gossip", "--without-mingle", "-l", "WARNING", "-n", f"bench{number}@%h", "-Q", QUEUES,
        ]  # fmt: skip

    @contextlib.contextmanager
    def up(self, *, slow_seconds: float) -> Iterator[Running]:
        facts = self._prepare(slow_seconds)
        database = self._fresh_database()
        with contextlib.ExitStack() as stack:
            redis = Redis(self.directory, embedded=self.postgres is None)
            stack.callback(redis.stop)
            env = self._env(database=database, redis=redis)
            port = free_port()
            workers = []
            for number in range(self.workers):
                workers.append(start(self.worker_command(number), log=self.directory / "worker.log", env=env))
                stack.callback(stop, workers[-1])
            web = start(self.web_command(port), log=self.directory / "web.log", env=env)
            stack.callback(stop, web)
            wait_for_port(port, alive=web)
            kinds = {
                "web": [web.pid],
                "workers": [worker.pid for worker in workers],
                "redis": [redis.process.pid],
                "postgres": [self.postgres.pid] if self.postgres else [],
            }
            telegram = self.channel == "telegram"
            yield Running(
                port=port,
                path="/webhooks/telegram/{account}" if telegram else "/api/v1/messages",
                headers={SECRET_HEADER: facts["secret"]} if telegram else {"X-API-Key": facts["key"]},
                account=facts["account"],
                slow_account=facts["slow_account"],
                kinds=kinds,
                postmaster=self.postgres.pid if self.postgres else None,
                shape="telegram" if telegram else "api",
                neighbour=facts["neighbour"],
            )
