"""Ammunition by calibre and lot: what is in stock, and from which lot cartridges are issued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bus.errors import Rejected
from bus.fields import LATEST
from bus.message import Event
from bus.service import Given
from handlers.armory.commands import RecallLot, ReinstateLot, StockAmmunition, WriteOffAmmunition
from handlers.armory.events import AmmunitionStocked, AmmunitionWrittenOff, LotRecalled, LotReinstated
from handlers.armory.model.people import who


@dataclass(frozen=True, slots=True)
class Stocked:
    """Cartridges of one lot that lie in the armoury."""

    lot: str
    rounds: int
    expires_at: datetime | None = None
    recalled: str | None = None  # why

    def expired(self, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at


class AmmunitionShort(Rejected):
    """{asked} cartridges {calibre} were asked for, and {in_stock} of one lot can be issued."""


class LotUnknown(Rejected):
    """There is no lot {lot} of {calibre} in the armoury."""


class LotUnderRecall(Rejected):
    """The lot {lot} of {calibre} was recalled ({reason}); it is not issued."""


class LotExpired(Rejected):
    """The lot {lot} of {calibre} has expired; it is not issued."""


class LotExpiresOtherwise(Rejected):
    """The lot {lot} of {calibre} is in stock already, and its date of expiry is another."""


class NotRecalled(Rejected):
    """The lot {lot} of {calibre} was not recalled."""


def lot_for(stock: Sequence[Stocked], calibre: str, lot: str | None, rounds: int, at: datetime) -> str | None:
    """From which lot so many cartridges are issued: the one asked for, or that which expires first; none for none."""
    if rounds == 0:
        return None
    if lot is not None:
        named = _named(stock, calibre, lot)
        if named.recalled is not None:
            raise LotUnderRecall(lot=lot, calibre=calibre, reason=named.recalled)
        if named.expired(at):
            raise LotExpired(lot=lot, calibre=calibre)
        stock = [named]
    good = [one for one in stock if one.recalled is None and not one.expired(at)]
    enough = [one for one in good if one.rounds >= rounds]
    if not enough:
        raise AmmunitionShort(asked=rounds, calibre=calibre, in_stock=max((one.rounds for one in good), default=0))
    return min(enough, key=lambda one: (one.expires_at or LATEST, one.lot)).lot


def stock_ammunition(stock: Sequence[Stocked], asked: StockAmmunition, _given: Given) -> Sequence[Event]:
    known = next((one for one in stock if one.lot == asked.lot), None)
    if known is not None and known.expires_at != asked.expires_at:
        raise LotExpiresOtherwise(lot=asked.lot, calibre=asked.calibre)
    return [AmmunitionStocked(calibre=asked.calibre, rounds=asked.rounds, lot=asked.lot, expires_at=asked.expires_at)]


def write_off_ammunition(stock: Sequence[Stocked], asked: WriteOffAmmunition, given: Given) -> Sequence[Event]:
    known = _named(stock, asked.calibre, asked.lot)
    if asked.rounds > known.rounds:
        raise AmmunitionShort(asked=asked.rounds, calibre=asked.calibre, in_stock=known.rounds)
    return [AmmunitionWrittenOff(**asked.model_dump(), written_off_by=who(given), written_off_at=given.at)]


def recall_lot(stock: Sequence[Stocked], asked: RecallLot, given: Given) -> Sequence[Event]:
    known = _named(stock, asked.calibre, asked.lot)
    if known.recalled is not None:
        raise LotUnderRecall(lot=asked.lot, calibre=asked.calibre, reason=known.recalled)
    return [LotRecalled(**asked.model_dump(), recalled_by=who(given), recalled_at=given.at)]


def reinstate_lot(stock: Sequence[Stocked], asked: ReinstateLot, given: Given) -> Sequence[Event]:
    if _named(stock, asked.calibre, asked.lot).recalled is None:
        raise NotRecalled(lot=asked.lot, calibre=asked.calibre)
    return [LotReinstated(**asked.model_dump(), reinstated_by=who(given), reinstated_at=given.at)]


def _named(stock: Sequence[Stocked], calibre: str, lot: str) -> Stocked:
    known = next((one for one in stock if one.lot == lot), None)
    if known is None:
        raise LotUnknown(lot=lot, calibre=calibre)
    return known
