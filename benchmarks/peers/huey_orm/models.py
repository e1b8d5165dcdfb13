"""The product's tables as ORM classes, and how a session is made."""

import os
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, relationship, sessionmaker

from controller.storage.tables import alerts, metric_snapshots, plants, poll_logs


class Base(DeclarativeBase):
    pass


class Snapshot(Base):
    __table__ = metric_snapshots


class Alert(Base):
    __table__ = alerts


class PollLog(Base):
    __table__ = poll_logs


class Plant(Base):
    __table__ = plants

    alerts = relationship(
        Alert,
        primaryjoin="and_(foreign(Alert.plant_id) == Plant.plant_id, Alert.state != 'RESOLVED')",
        viewonly=True,
    )
    days = relationship(
        Snapshot, primaryjoin="foreign(Snapshot.plant_id) == Plant.plant_id", order_by=Snapshot.__table__.c.date.desc(), viewonly=True
    )


def sessions() -> "sessionmaker[Any]":
    """Sessions on the database of DATABASE_URL."""
    return sessionmaker(create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"), pool_size=5))
