"""Plants, their days, alerts and job records as rows: Postgres in production, memory in unit tests, behind the same contract suite.

`PostgresStore` and `MemoryStore` implement `ports.Store`, which covers `polling.ports.PlantStore`, `scheduling.ports.ScheduleStore`
and what the operator needs. SQL lives in `queries.py`, the schema in `tables.py` and `migrations/`.
"""
