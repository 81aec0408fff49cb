"""Takes messages from the queue, one after the other, until it is told to stop."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from mitorch_service.errors import DATABASE_TROUBLE, ArtifactError, InvalidInput, MiTorchError, StoreError
from mitorch_service.interop.vott.acceptance import Acceptance
from mitorch_service.interop.vott.lease_renewal import LeaseRenewal
from mitorch_service.interop.vott.queues.base import HeldMessage, LeaseLost, MessageQueue, QueueError
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable
from mitorch_service.models.secrets import mask_secrets

_MOST_TRIES = 5  # for addresses that do not answer
_MOST_DELIVERIES = 10  # of a message whose consumers were killed or stopped
_FIRST_DELAY, _LONGEST_DELAY = 30.0, 1800.0  # seconds before a message is tried again
_OWN_TROUBLE_SECONDS = 15.0  # before a database or disk of ours is tried again


@dataclass(frozen=True)
class Consumer:
    """Accepts the messages of a queue. `renew_every`: seconds between renewals of their leases."""

    queue: MessageQueue
    acceptance: Acceptance
    tell: Callable[[str], object]
    stop: threading.Event
    renew_every: float
    trouble_seconds: float = _OWN_TROUBLE_SECONDS

    def take(self) -> int:
        """Takes and settles the next messages; returns how many there were. Raises QueueUnavailable, QueueError."""
        held = self.queue.receive()
        with ExitStack() as leases:
            for one in held:
                leases.enter_context(LeaseRenewal(one, self.renew_every, self.tell))
            for one in held:
                self._settle(one)
        return len(held)

    def _settle(self, held: HeldMessage) -> None:
        """Whatever fails here, the message stays in the queue and comes again."""
        try:
            self._handle(held)
        except LeaseLost:
            self.tell(f"message {held.id}: another consumer has it")
        except QueueError as error:
            self.tell(f"message {held.id}: {error}; it comes again")

    def _handle(self, held: HeldMessage) -> None:
        if held.deliveries > _MOST_DELIVERIES:
            self._reject(
                held, f"was taken {held.deliveries} times, and its consumer ended each time before it was done"
            )
            return
        while not self.stop.is_set():
            try:
                accepted = self.acceptance.accept(held.id, held.body, self.stop.is_set)
            except (*DATABASE_TROUBLE, ArtifactError) as error:  # ours, not the message's: it is held meanwhile
                self._note(held, f"{error}; trying again in {self.trouble_seconds:g} s")
                self.stop.wait(self.trouble_seconds)
                continue
            except Unavailable as error:
                self._later(held, str(error))
                return
            except StoreError as error:
                self._later(held, str(error))
                return
            except (Refused, InvalidInput, MiTorchError) as error:
                self._reject(held, str(error))
                return
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end the consumer, nor lose the message
                self._note(held, traceback.format_exc())
                self._later(held, f"{type(error).__name__}: {error} (a fault of mitorch-service)")
                return
            self._note(held, f"training {accepted.id} {'queued' if accepted.is_new else 'is queued already'}")
            for remark in accepted.remarks:
                self._note(held, remark)
            held.complete()
            return
        held.release(0)

    def _later(self, held: HeldMessage, reason: str) -> None:
        """Gives the message back, to be tried after a while, or rejects it if that was often enough."""
        if self.stop.is_set():
            held.release(0)
        elif held.deliveries >= _MOST_TRIES:
            self._reject(held, f"{reason} ({held.deliveries} tries)")
        else:
            delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (held.deliveries - 1))
            self._note(held, f"{reason}; tried again in {delay:g} s")
            held.release(delay)

    def _reject(self, held: HeldMessage, reason: str) -> None:
        shown = mask_secrets(reason)
        self._note(held, f"rejected, to {self.queue.aside}: {shown}")
        try:
            self.acceptance.reject(held.id, held.body, shown)
        except StoreError as error:  # the queue matters more than a status
            self._note(held, f"its status is not told: {error}")
        held.reject(shown)

    def _note(self, held: HeldMessage, text: str) -> None:
        self.tell(f"message {held.id}: {mask_secrets(text)}")
