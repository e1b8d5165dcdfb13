"""Huey and SQLAlchemy's ORM: a task a plant, a lock in Redis, a session a task. `schedule` finds due plants, `work` consumes."""
