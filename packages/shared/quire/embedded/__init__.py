"""Real Redis and Postgres servers from wheels, for one machine: no Docker, no root, no account.

Needs the packages of `packages/shared/requirements-embedded.in`.
"""

from quire.embedded.postgres import EmbeddedPostgres
from quire.embedded.processes import ChildProcess
from quire.embedded.redis import EmbeddedRedis

__all__ = ["ChildProcess", "EmbeddedPostgres", "EmbeddedRedis"]
