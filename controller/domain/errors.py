"""What can go wrong between us and our own servers, by what happens next. Raised by `storage` and `queueing`, caught by the loops."""


class StoreUnavailable(Exception):
    """The database did not answer, or dropped the connection. Nothing is known of the last statement: repeat it."""


class StoreRejected(Exception):
    """The database refused the data of a statement. Repeating it is useless; halve the batch until the one bad plant is found."""


class QueueUnavailable(Exception):
    """The queue server did not answer. The last call may or may not have happened."""


class EpochMissing(Exception):
    """The queue server is not the one that the jobs were put into: it was flushed, restarted, restored or failed over (PROTOCOL 11)."""


class IncarnationRetired(Exception):
    """This worker's heartbeat was missing or late: it may take no more under this name (PROTOCOL 21)."""


class LeaseLost(Exception):
    """The worker's lease on its jobs has run out: no exchange may begin (PROTOCOL 22)."""


class BudgetSpent(Exception):
    """The brand's limit leaves no request now: the job goes back to its queue (DOMAIN 2)."""
