"""Finds due plants each second and puts a task a plant into its brand's queue: `python -m benchmarks.peers.huey_orm.schedule`."""

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from benchmarks.peers.huey_orm.models import Plant
from benchmarks.peers.huey_orm.tasks import new_session, tasks
from integrations.contract import Brand

next_poll_at = Plant.__table__.c.next_poll_at


def main() -> None:
    while True:
        now = datetime.now(UTC)
        with new_session() as session:
            due = session.scalars(select(Plant).where(next_poll_at <= now).order_by(next_poll_at)).all()
            for plant in due:
                plant.next_poll_at = now + timedelta(seconds=plant.poll_interval_s)
            jobs = [(Brand(plant.brand), str(plant.plant_id)) for plant in due]
            session.commit()
        for brand, plant_id in jobs:
            tasks[brand](plant_id, now.isoformat())
        time.sleep(1)


if __name__ == "__main__":
    main()
