"""pynetdicom as the one that asks, and asks again where it loses an answer.

On a busy machine it does, whatever the peer says: when its reactor thread has read a rejection and closed the socket before
the caller's thread looks, the caller takes the connection for one that never was; and the reactor of an association may take
the response that `send_*` waits for. Neither depends on who closes the connection, or when.
"""

from pynetdicom import AE

TRIES = 5


def associate(host, port, contexts, *, calling="PYNETDICOM", called="SAGITTAL", items=(), **options):
    """An association that was accepted or rejected."""
    entity = AE(calling)
    entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = 120, 10, 120
    for _ in range(TRIES):
        association = entity.associate(host, port, contexts, ext_neg=list(items), ae_title=called, **options)
        # Where no context is accepted, pynetdicom aborts what the peer established.
        if association.is_established or association.is_rejected or association.rejected_contexts:
            return association
    raise AssertionError(f"{TRIES} times neither accepted nor rejected by {called} at {host}:{port}")


def response(association, again, send):
    """(association, data set with the status) of `send(association)`; `again()` makes a new one when the answer was lost."""
    for _ in range(TRIES):
        status = send(association)
        if "Status" in status:
            return association, status
        association = again()
    raise AssertionError(f"{TRIES} times no response")


def released(association):
    association.release()
    assert association.is_released or association.is_aborted, "the release was not answered"
