"""From rows to `Plant.status`: the newest version only, never an older one, and nothing where nothing differs (PROTOCOL 27).

What a patch brings that is worth telling is announced as events, once the API server has taken the patch: that happens to one copy only.

`Mirror.turn` is called over and over by a loop of the operator, in any number of copies: a lease in the row keeps them out of each
other's way, and the object's resourceVersion in every patch keeps them right if it does not.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import structlog

from controller.domain.plant import JobType, PlantContext
from controller.domain.schedule import next_slot
from controller.metrics import Metrics
from controller.operator.conditions import Standing
from controller.operator.digest import digest
from controller.operator.echoes import Echoes
from controller.operator.events import Before, PlantEvent, events_between
from controller.operator.kubernetes_api import ObjectChanged, Patched, PlantsApi
from controller.operator.merge_patch import merge_patch
from controller.operator.resource import PlantResource, ResourceUnreadable
from controller.operator.rounds import Round
from controller.operator.standings import Standings
from controller.operator.status_document import renewed_document, replacing_patch, status_document
from controller.storage.changes import ChangeListener
from controller.storage.ports import MirrorAck, Store, Told

log = structlog.get_logger()
T = TypeVar("T")
Announce = Callable[[PlantResource, Sequence[PlantEvent]], None]
"""Takes the events of one Plant: `EventPoster.announce`. Neither waits nor raises."""

BATCH = 250
"""Plants leased at once: their patches take a second or two, well within the lease."""
AT_ONCE = 8
"""Requests under way, each on a thread. The API server answers after some milliseconds, and our own work on a plant is one or two."""
LEASE_S = 30.0
TURN = timedelta(seconds=20)
"""Longest that a turn begins another request, half of it for reading: an API server that is slow must not make the loop look hung."""
WAIT_S = 1.0
RETRY_EVERY_S = 0.1
RETRY_FOR = timedelta(seconds=1)
SCAN_EVERY = timedelta(seconds=10)
"""A lost notification is made good within this: the scan reads versions of all plants."""
SCAN = 10 * BATCH
"""Plants that a scan names, more than can be patched until the next: a mirror that is behind need not look at all plants each turn."""


class Mirror:
    """One mirroring loop. Owned by one thread."""

    def __init__(
        self,
        store: Store,
        changes: ChangeListener,
        api: PlantsApi,
        metrics: Metrics,
        clock: Callable[[], datetime],
        at: Callable[[str], None],
        announce: Announce,
        echoes: Echoes | None = None,
    ) -> None:
        self._store = store
        self._changes = changes
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._at = at
        self._announce = announce
        self._echoes = echoes or Echoes({})
        self._standings = Standings()
        self._requests = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mirror")
        self._scanned_at: datetime | None = None
        self._backlog: dict[UUID, None] = {}
        """Plants to be told of, in their order; those of the newest scan, and what turns since have left."""
        self._must_scan = True
        self._missed: dict[UUID, datetime] = {}

    def turn(self) -> None:
        """Waits a moment for changes, then mirrors up to `BATCH` plants that have changed.

        Raises `StoreUnavailable`, the API server's errors, and `StatusRefused` or a defect with one plant, when the others are mirrored.
        What a turn leaves undone is the next one's, which does not wait.
        """
        told = self._changes.wait_for_changes(self._patience_s)
        now = self._clock()
        if told is None or self._must_scan or self._scanned_at is None or now - self._scanned_at >= SCAN_EVERY:
            self._scan(now)
        only = dict.fromkeys([*(told or ()), *self._missed, *islice(self._backlog, BATCH)])
        if not only:
            return
        self._must_scan = True
        ids = self._store.lease_for_mirror(BATCH, now, LEASE_S, only)
        self._note_missed(told or set(), ids, now)
        again = self._mirror(ids, now + TURN) if ids else set()
        self._backlog = self._left_of(only, ids, again)
        self._must_scan = self._is_cut_off and not self._backlog

    def _scan(self, now: datetime) -> None:
        untold = self._store.untold(SCAN, now)
        self._scanned_at, self._backlog, self._is_cut_off = now, dict.fromkeys(untold), len(untold) == SCAN

    def _left_of(self, named: Collection[UUID], leased: Collection[UUID], again: Collection[UUID]) -> dict[UUID, None]:
        """The backlog after a turn that named some plants and leased some of them.

        Of these it keeps those that the turn was too short for and, where as many were leased as may be, those that were not among them.
        Others have been told of, or cannot be leased now: the next scan finds them.
        """
        left = {plant_id: None for plant_id in leased if plant_id in again}
        if len(leased) == BATCH:
            done = frozenset(leased)
            left |= {plant_id: None for plant_id in named if plant_id not in done}
        return left | {plant_id: None for plant_id in self._backlog if plant_id not in named}

    @property
    def _patience_s(self) -> float:
        if self._must_scan or self._backlog:
            return 0.0
        return RETRY_EVERY_S if self._missed else WAIT_S

    def _note_missed(self, told: Collection[UUID], leased: Collection[UUID], now: datetime) -> None:
        """A plant that was announced and not leased is in another operator's hands, or its row was locked just then: a poll is claimed
        as soon as a Plant is declared. It is asked for again for a moment, for the scan is seconds away."""
        missed = self._missed | dict.fromkeys(told, now + RETRY_FOR)
        self._missed = {plant_id: until for plant_id, until in missed.items() if until > now and plant_id not in leased}

    def _mirror(self, ids: Sequence[UUID], until: datetime) -> set[UUID]:
        """Mirrors leased plants: first the objects, then the rows, then the patches, so that no patch can carry an older row.

        An object of which we know how our last patch has left it, and that this is what was told last, is not read: if it is another by
        now, the patch's precondition finds that out. So only where numbers alone have changed, of which no event is made.

        Who is to be looked at again at once: their objects have changed meanwhile, or the time was up.
        """
        mirrored: list[MirrorAck] = []
        again, defect = set(ids), None
        try:
            rows, told = self._store.read(ids), self._store.told(ids)
            known = self._known(rows, told)
            again &= rows.keys()
            unknown = [rows[plant_id] for plant_id in ids if plant_id in rows and plant_id not in known]
            objects = self._objects(unknown, again, until - TURN / 2)
            present = {plant_id: rows[plant_id] for plant_id in known} | (self._store.read(objects) if objects else {})
            told |= self._store.told(objects) if objects else {}
            self._at("after-row-read")

            def patch(plant_id: UUID) -> MirrorAck | None:
                if plant_id in known:
                    return self._renew(present[plant_id], known[plant_id])
                return self._patch(present.get(plant_id), objects[plant_id], told.get(plant_id))

            mirrorable = [plant_id for plant_id in ids if plant_id in known or plant_id in objects]
            for plant_id, done in self._at_once(mirrorable, patch, until):
                if isinstance(done, Exception):
                    # One plant holds up no other. It is tried again when its lease ends.
                    declared, kind = rows[plant_id].declaration, type(done).__name__
                    log.warning("plant_put_off", plant=f"{declared.namespace}/{declared.name}", error=kind, message=str(done))
                    again.discard(plant_id)
                    defect = done
                elif done is not None:
                    mirrored.append(done)
                    again.discard(plant_id)
        finally:
            self._store.acknowledge(mirrored, self._clock())
            if again:
                self._store.release(again)
        if defect is not None:
            raise defect
        return again

    def _known(self, rows: Mapping[UUID, PlantContext], told: Mapping[UUID, Told]) -> dict[UUID, Standing]:
        """How those objects stand that need no reading. `told` was read after `rows`."""
        found = {}
        for plant_id, row in rows.items():
            last = told.get(plant_id)
            if last is None or last.digest is None or last.is_notable or row.deleted:
                continue
            standing = self._standings.at(plant_id, last.resource_version)
            if standing is not None:
                found[plant_id] = standing
        return found

    def _objects(self, rows: Sequence[PlantContext], again: set[UUID], until: datetime) -> dict[UUID, PlantResource]:
        """The objects of these rows, as many as can be read by then.

        A row whose object is not there is taken out of `again`: it waits until its lease ends, for the watch or the next resync will
        tell what became of it.
        """
        found = {}
        by_id = {row.plant_id: row for row in rows}
        for plant_id, resource in self._at_once(list(by_id), lambda plant_id: self._object(by_id[plant_id]), until):
            if isinstance(resource, Exception):
                raise resource
            if resource is None:
                again.discard(plant_id)
            else:
                found[plant_id] = resource
        return found

    def _at_once(self, plants: Sequence[UUID], work: Callable[[UUID], T], until: datetime) -> Iterator[tuple[UUID, T | Exception]]:
        """What `work` says of each plant, or what it raised, as it ends: `AT_ONCE` under way, begun in this order, and the first by then.

        Raises what says that the API server is away or refuses us, once all that was begun has ended: what was patched is to be
        acknowledged, else its events would be lost.
        """
        round_ = Round(plants, work, lambda: self._clock() >= until)
        crew = [self._requests.submit(round_.work_off) for _ in range(min(AT_ONCE, len(plants)))]
        try:
            for _ in crew:
                yield from iter(round_.ended.get, None)
        finally:
            round_.end()
            for member in crew:
                member.result()
        if round_.outage is not None:
            raise round_.outage

    def _object(self, row: PlantContext) -> PlantResource | None:
        body = None if row.deleted else self._api.get(row.declaration.namespace, row.declaration.name)
        if body is None:
            return None
        try:
            resource = PlantResource.parse(body)
        except ResourceUnreadable as error:
            log.warning("plant_unreadable", plant_id=str(row.plant_id), message=str(error))
            return None
        return resource if resource.uid == row.declaration.uid else None

    def _patch(self, row: PlantContext | None, resource: PlantResource, told: Told | None) -> MirrorAck | None:
        """Brings one object up to its row. None where one of them has changed meanwhile: the row is leased again at once."""
        if row is None or told is None or row.deleted or row.declaration.uid != resource.uid:
            return None
        status = status_document(row, resource, self._clock())
        patch = merge_patch(resource.status, status)
        if not patch:
            return _acknowledgement(row, resource.resource_version, resource.status)
        patched = self._sent(row, resource.resource_version, status, patch, agrees=self._echoes.agrees(resource, row.declaration))
        if patched is None:
            return None
        self._tell(Before.of(resource.status, told), status, row, resource)
        return _acknowledgement(row, patched.resource_version, patched.status, held_until(row, self._clock()))

    def _renew(self, row: PlantContext, standing: Standing) -> MirrorAck | None:
        """As `_patch`, for an object that agrees with its row and is not read. None where it has changed: then it is read."""
        status = renewed_document(row, standing, self._clock())
        patched = self._sent(row, standing.resource_version, status, replacing_patch(status), agrees=True)
        if patched is None:
            return None
        return _acknowledgement(row, patched.resource_version, patched.status, held_until(row, self._clock()))

    def _sent(
        self, row: PlantContext, resource_version: int, status: Mapping[str, Any], patch: Mapping[str, Any], *, agrees: bool
    ) -> Patched | None:
        """Patches the object, if it has this resourceVersion, to show `status`. None where it has another, or is gone."""
        declared = row.declaration
        try:
            with self._echoes.expected(declared, status) if agrees else nullcontext():
                patched = self._api.patch_status(declared.namespace, declared.name, declared.uid, str(resource_version), patch)
        except ObjectChanged:
            self._standings.forget(row.plant_id)
            self._metrics.record_patch_conflict()
            return None
        self._metrics.record_patch()
        if agrees:
            self._echoes.note(patched.resource_version)
            self._standings.note(row.plant_id, patched.resource_version, status)
        return patched

    def _tell(self, before: Before | None, status: Mapping[str, Any], row: PlantContext, resource: PlantResource) -> None:
        if before is None:
            # Somebody else wrote it, or our last patch was never acknowledged: what changes now did not happen to the plant just now.
            self._metrics.record_repair()
            return
        self._announce(resource, events_between(before, status, row, resource))


def held_until(row: PlantContext, now: datetime) -> datetime:
    """From when on a plant whose `row` Kubernetes has just been told is told of again for its numbers alone (PROTOCOL 27).

    With the poll of the next slot: that after the claim whose poll is shown, however late it is shown, or a claim that is under way.
    """
    interval_s, claimed_at = row.declaration.poll_interval_s, row.claimed_at
    if claimed_at is None or now - claimed_at >= timedelta(seconds=interval_s):
        return next_slot(row.plant_id, interval_s, now)
    if row.is_claimed and row.claim_kind is JobType.POLL:
        return claimed_at
    return next_slot(row.plant_id, interval_s, claimed_at)


def _acknowledgement(row: PlantContext, resource_version: int, status: Mapping[str, Any], held_until: datetime | None = None) -> MirrorAck:
    return MirrorAck(row.plant_id, row.version, resource_version, digest(status), tuple(alert.id for alert in row.alerts), held_until)
