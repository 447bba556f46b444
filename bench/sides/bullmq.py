"""The peer: Fastify, BullMQ, PostgreSQL (peers/bullmq), one web process and `workers` worker processes."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.servers import ROOT, MissingTool, Postgres, Redis, free_port, start, stop, wait_for_port
from bench.sides.running import Running, Side

HERE = ROOT / "bench" / "peers" / "bullmq"


def install() -> None:
    """What the lock says, once. Raises MissingTool without Node 20 or npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingTool("node and npm (Node 20.18 or newer) were not found: run with --side switchboard")
    if not (HERE / "node_modules" / "bullmq").exists():
        # Not `npm ci`: it wants the builds for every other platform in the lock, and a mirror may lack some of them.
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=HERE, check=True)


@dataclass
class BullMQ(Side):
    """Its own database in the cluster, its own Redis."""

    postgres: Postgres
    standin_url: str
    directory: Path
    workers: int = 1
    intake: str = "queue"
    sql: str = "fused"
    tuning: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        install()
        self.name = "bullmq"
        self.label = f"BullMQ ({self.sql} SQL, {self.intake} intake, {self.workers} worker)"

    def _tables(self, slow_seconds: float) -> tuple[str, str, str]:
        key, fast, slow = "peer-key", str(uuid.uuid4()), str(uuid.uuid4())
        hashed = hashlib.sha256(key.encode()).hexdigest()
        self.postgres.create("peer")
        self.postgres.execute((HERE / "schema.sql").read_text(), database="peer")
        self.postgres.execute(
            "INSERT INTO peer.account VALUES "  # our own values
            f"('{fast}', 1, '{hashed}', 0), ('{slow}', 1, '{hashed}', {float(slow_seconds)})",
            database="peer",
        )
        return key, fast, slow

    @contextlib.contextmanager
    def up(self, *, slow_seconds: float) -> Iterator[Running]:
        key, fast, slow = self._tables(slow_seconds)
        with contextlib.ExitStack() as stack:
            redis = Redis(self.directory)
            stack.callback(redis.stop)
            port = free_port()
            env = {
                "NODE_ENV": "production",
                "PEER_PORT": str(port),
                "PEER_DATABASE_URL": self.postgres.url("peer"),
                "PEER_REDIS_PORT": str(redis.port),
                "PEER_STANDIN_URL": self.standin_url,
                "PEER_INTAKE": self.intake,
                "PEER_SQL": self.sql,
                **self.tuning,
            }
            log = self.directory / "bullmq.log"
            workers = []
            for _ in range(self.workers):
                workers.append(start(["node", "worker.mjs"], log=log, env=env, cwd=HERE))
                stack.callback(stop, workers[-1])
            web = start(["node", "web.mjs"], log=log, env=env, cwd=HERE)
            stack.callback(stop, web)
            wait_for_port(port, alive=web)
            yield Running(
                port=port,
                path="/api/v1/messages",
                headers={"X-API-Key": key},
                account=fast,
                slow_account=slow,
                kinds={
                    "web": [web.pid],
                    "workers": [worker.pid for worker in workers],
                    "redis": [redis.process.pid],
                    "postgres": [self.postgres.pid],
                },
                postmaster=self.postgres.pid,
            )
