"""How large the tables are and how they are kept, read from the server's own statistics. Called by `soak`."""

from typing import Any, NamedTuple

import psycopg

TABLES = ("plants", "metric_snapshots", "alerts", "poll_logs")

# A partitioned table counts as the sum of its partitions. The sizes are of heap and TOAST, and of indexes; the numbers of updates since
# the table was made.
_TABLES = """
SELECT
    CASE WHEN s.relname ~ '^poll_logs_[0-9]+$' THEN 'poll_logs' ELSE s.relname END AS name,
    sum(pg_table_size(s.relid))::bigint,
    sum(pg_indexes_size(s.relid))::bigint,
    sum(s.n_dead_tup)::bigint,
    sum(s.n_tup_upd)::bigint,
    sum(s.n_tup_hot_upd)::bigint,
    sum(s.n_tup_newpage_upd)::bigint,
    sum(s.autovacuum_count)::bigint,
    sum(s.autoanalyze_count)::bigint
FROM pg_stat_user_tables s
WHERE s.relname IN ('plants', 'metric_snapshots', 'alerts') OR s.relname ~ '^poll_logs_[0-9]+$'
GROUP BY 1
"""


class Table(NamedTuple):
    """One table at the end of a simulated day. Sizes in bytes."""

    rows: int
    heap: int
    indexes: int
    dead: int
    updates: int
    hot_updates: int
    newpage_updates: int
    """Updates whose new version went to another page."""
    vacuums: int
    analyzes: int

    @property
    def bytes_a_row(self) -> float:
        """Heap and indexes together, by live row: what grows where dead rows are not reused."""
        return (self.heap + self.indexes) / max(1, self.rows)


def tables(connection: psycopg.Connection[Any]) -> dict[str, Table]:
    return {
        name: Table(number(connection, f"SELECT count(*) FROM {name}"), *figures)  # noqa: S608 - names of our own, from the catalogue
        for name, *figures in connection.execute(_TABLES).fetchall()
    }


def partitions(connection: psycopg.Connection[Any]) -> int:
    return number(connection, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'poll_logs'::regclass")


def number(connection: psycopg.Connection[Any], statement: str, parameters: tuple[object, ...] = ()) -> int:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return int(row[0])
