"""What can be read: each function says which view of a service answers, for whom."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field

from bus.clock import now
from bus.fields import Code, Text
from gateway.queries import MOST_ITEMS, History, Limit, Moment, Period, Query, Skip
from gateway.showing import Listing, Look
from handlers.armory.views import ammunition as ammunition_views
from handlers.armory.views import audits as audits_views
from handlers.armory.views import compatibility as compatibility_views
from handlers.armory.views import custody as custody_views
from handlers.armory.views import services as services_views
from handlers.armory.views import weapons as weapons_views
from handlers.auth import views as auth
from handlers.booking.views import bookings, lanes
from handlers.booking.views import waitlist as waiting
from handlers.payment import views as payment
from handlers.stats.views import finals as finals_views
from handlers.stats.views import groups
from handlers.stats.views import progress as progress_views
from handlers.stats.views import reports as reports_views
from handlers.stats.views import results as results_views
from handlers.stats.views import shooters as shooters_views


class BookingsQuery(Period):
    """Bookings that begin within a time."""

    person: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class WaitlistQuery(Query):
    """Whose places in the waiting list."""

    person: UUID | None = None


class WeaponsQuery(Query):
    """The register, or its weapons of a type."""

    weapon_type: Code | None = None


class CustodyQuery(Query):
    """At which moment."""

    at: Moment | None = Field(default=None, description="Now, if it is left out.")


class CompatibilityQuery(Query):
    """On which lane, by whom and when."""

    lane: Code
    person: UUID | None = Field(default=None, description="Who shoots; only staff asks for others.")
    at: Moment | None = Field(default=None, description="Now, if it is left out.")


class LotQuery(Query):
    """A lot of cartridges."""

    calibre: Text
    lot: Text


class InvoicesQuery(Query):
    """Whose invoices."""

    person: UUID | None = None
    limit: Limit = 50


class ResultsQuery(History):
    """Sessions that began within a time."""

    person: UUID | None = Field(default=None, description="Whose; only staff asks for others'.")
    cursor: UUID | None = None
    limit: Limit = 50


class ShotsQuery(Query):
    """Which of a session's shots."""

    skip: Skip = 0
    limit: Limit = MOST_ITEMS


_ONE_ID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class FinalQuery(Query):
    """Whose final it is."""

    sessions: str = Field(
        pattern=rf"^{_ONE_ID}(,{_ONE_ID}){{1,{finals_views.MOST_FINALISTS - 1}}}$",
        description="the finalists' sessions, commas between them",
    )


class UnassignedQuery(History):
    """Shots of no session that came within a time."""

    lane: Code | None = None
    limit: Limit = MOST_ITEMS


class StatisticsQuery(Query):
    """How sure the intervals are to be."""

    confidence: float = Field(default=0.95, ge=0.5, le=0.999, description="The rate at which they hold the truth.")


def _known_zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError("must be a time zone of the IANA database, like `Europe/Berlin`")
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]


class ShooterQuery(History):
    """Whose sessions of a time, and by what they are told apart."""

    person: UUID | None = Field(default=None, description="Whose; only staff asks for others'.")
    discipline: Code | None = Field(default=None, description="All disciplines, if it is left out.")
    by: shooters_views.Dimension = "discipline"
    time_zone: Zone = Field(default="UTC", alias="time-zone", description="in which hours and weekdays are told")


class ComparisonQuery(History):
    """A discipline in a time."""

    discipline: Code


class AttendanceQuery(History):
    """Whose days of a time."""

    person: UUID | None = Field(default=None, description="Whose; only staff asks for others'.")
    time_zone: Zone = Field(default="UTC", alias="time-zone", description="in which days begin and end")


class ReportsQuery(Query):
    """How many of your reports."""

    limit: Limit = 50


class ProgressQuery(History):
    """How a discipline went in a time."""

    discipline: Code
    person: UUID | None = Field(default=None, description="Whose; only staff asks for others'.")
    split: Moment | None = Field(
        default=None, description="What comes after is compared with what came before; the middle, if it is left out."
    )


async def licences(look: Look[Query]) -> Listing[auth.LicenceView]:
    """List a person's licences, as far as they say what counts and until when."""
    return Listing(items=tuple(await auth.licences(look.connection, look.path["person"])))


async def entitlements(look: Look[Query]) -> Listing[auth.EntitlementView]:
    """List what a person may shoot, from when to when."""
    return Listing(items=tuple(await auth.entitlements(look.connection, look.path["person"])))


async def rules(look: Look[Query]) -> auth.RulesView:
    """Show the rules that hold, those that were published, and those that come with the range."""
    return await auth.rules(look.connection)


async def ranges(look: Look[Query]) -> Listing[lanes.RangeView]:
    """List the ranges, when they are open, and how they are run."""
    return Listing(items=tuple(await lanes.ranges(look.connection)))


async def all_lanes(look: Look[Query]) -> Listing[lanes.LaneView]:
    """List the lanes and who has them at this moment: a hold, a booking, somebody who shoots."""
    return Listing(items=tuple(await lanes.lanes(look.connection)))


async def cease_fires(look: Look[Query]) -> Listing[lanes.CeaseFireView]:
    """List a range's cease fires, the latest first."""
    found = await lanes.cease_fires(look.connection, look.path["range"], most=MOST_ITEMS)
    return Listing(items=tuple(found))


async def closures(look: Look[Query]) -> Listing[lanes.ClosureView]:
    """List when a lane is closed from now on."""
    return Listing(items=tuple(await lanes.closures(look.connection, look.path["lane"], most=MOST_ITEMS)))


async def own_bookings(look: Look[BookingsQuery]) -> bookings.BookingsView:
    """List bookings that begin within a time; a shooter sees his own."""
    query = look.query
    return await bookings.bookings(
        look.connection,
        query.person,
        query.since,
        query.until,
        query.limit,
        query.cursor,
        viewer=look.caller.viewer,
        staff=look.caller.staff,
    )


async def waitlist(look: Look[WaitlistQuery]) -> Listing[waiting.WaitlistView]:
    """List who waits for times to come, in the order they joined; a shooter sees his own."""
    found = await waiting.waitlist(
        look.connection, look.query.person, viewer=look.caller.viewer, staff=look.caller.staff, most=MOST_ITEMS
    )
    return Listing(items=tuple(found))


async def series(look: Look[Query]) -> Listing[bookings.BookingView] | None:
    """List the bookings of a series."""
    found = await bookings.series(
        look.connection, look.path["series"], viewer=look.caller.viewer, staff=look.caller.staff
    )
    return Listing(items=tuple(found)) if found else None


async def booking(look: Look[Query]) -> bookings.BookingView | None:
    """Show a booking."""
    return await bookings.booking(
        look.connection, look.path["booking"], viewer=look.caller.viewer, staff=look.caller.staff
    )


async def weapon_types(look: Look[Query]) -> Listing[weapons_views.WeaponTypeView]:
    """List the types of weapons that the club has."""
    return Listing(items=tuple(await weapons_views.weapon_types(look.connection)))


async def compatibility(look: Look[CompatibilityQuery]) -> compatibility_views.Compatibility | None:
    """Show whether a type of weapon, a lane, cartridges and a shooter's licences go together, and if not, why."""
    person = _person(look, look.query.person)
    if person is None:
        return None
    return await compatibility_views.compatibility(
        look.connection, look.path["weapon_type"], look.query.lane, person, look.query.at or now()
    )


async def weapons(look: Look[WeaponsQuery]) -> Listing[weapons_views.WeaponView]:
    """List the register of weapons."""
    found = await weapons_views.weapons(look.connection, staff=look.caller.staff, weapon_type=look.query.weapon_type)
    return Listing(items=tuple(found))


async def custody(look: Look[CustodyQuery]) -> custody_views.Custody | None:
    """Show who held a weapon at a moment."""
    return await custody_views.custody(look.connection, look.path["weapon"], look.query.at or now())


async def handovers(look: Look[Query]) -> custody_views.CustodyBook:
    """Show a weapon's custody book: its last entries, the latest first, and the hash that the chain ends in."""
    return await custody_views.custody_book(look.connection, look.path["weapon"], most=MOST_ITEMS)


async def weapons_out(look: Look[Query]) -> Listing[weapons_views.WeaponOut]:
    """List the weapons that are out, and with whom, the longest first."""
    return Listing(items=tuple(await weapons_views.weapons_out(look.connection)))


async def services(look: Look[Query]) -> Listing[services_views.Service]:
    """List a weapon's services, the latest first."""
    return Listing(items=tuple(await services_views.services(look.connection, look.path["weapon"], most=MOST_ITEMS)))


async def reservations_beyond_stock(look: Look[Query]) -> Listing[weapons_views.ReservationBeyondStock]:
    """List the reservations that the units fit for use may not suffice for, the next first."""
    return Listing(items=tuple(await weapons_views.reservations_beyond_stock(look.connection, most=MOST_ITEMS)))


async def audit(look: Look[Query]) -> audits_views.AuditView | None:
    """Show a stock audit, and which weapons were missing, unexpected or misplaced."""
    return await audits_views.audit(look.connection, look.path["audit"])


async def incidents(look: Look[Query]) -> Listing[audits_views.IncidentView]:
    """List the last incidents, the latest first."""
    return Listing(items=tuple(await audits_views.incidents(look.connection, most=MOST_ITEMS)))


async def ammunition(look: Look[Query]) -> Listing[ammunition_views.AmmunitionView]:
    """List how many cartridges of each calibre and lot are in stock, and which can be issued."""
    return Listing(items=tuple(await ammunition_views.ammunition(look.connection)))


async def issued_lots(look: Look[LotQuery]) -> Listing[ammunition_views.IssuedLot]:
    """List who had cartridges of a lot, the last first: whom to ask when it is recalled."""
    found = await ammunition_views.issued_lots(look.connection, look.query.calibre, look.query.lot, most=MOST_ITEMS)
    return Listing(items=tuple(found))


async def cartridges(look: Look[Query]) -> ammunition_views.CartridgesAccount | None:
    """Show what became of a booking's cartridges: fired, returned, written off, and what is not explained."""
    return await ammunition_views.cartridges(
        look.connection, look.path["booking"], viewer=look.caller.viewer, staff=look.caller.staff
    )


async def differences(look: Look[Query]) -> Listing[ammunition_views.CartridgesView]:
    """List the bookings whose cartridges do not add up to their counted shots, the earliest first."""
    return Listing(items=tuple(await ammunition_views.differences(look.connection, most=MOST_ITEMS)))


async def prices(look: Look[Query]) -> payment.PriceListView | None:
    """Show the prices that hold now."""
    return await payment.prices(look.connection)


async def invoices(look: Look[InvoicesQuery]) -> Listing[payment.InvoiceSummary] | None:
    """List a person's last invoices, the latest first."""
    person = _person(look, look.query.person)
    if person is None:
        return None
    found = await payment.invoices(
        look.connection, person, viewer=look.caller.viewer, staff=look.caller.staff, most=look.query.limit
    )
    return Listing(items=tuple(found))


async def invoice(look: Look[Query]) -> payment.InvoiceView | None:
    """Show an invoice with its lines, and what was paid on it."""
    return await payment.invoice(
        look.connection, look.path["invoice"], viewer=look.caller.viewer, staff=look.caller.staff
    )


async def trial_balance(look: Look[Query]) -> payment.TrialBalance:
    """Show what every account of the ledger comes to."""
    return await payment.trial_balance(look.connection)


async def results(look: Look[ResultsQuery]) -> Listing[results_views.SessionResult] | None:
    """List the sessions that began within a time, with their results."""
    query, person = look.query, _person(look, look.query.person)
    if person is None:
        return None
    found = await results_views.sessions(
        look.connection, person, query.since, query.until, after=query.cursor, limit=query.limit + 1
    )
    page = found[: query.limit]
    return Listing(items=tuple(page), next=str(page[-1].session) if len(found) > query.limit else None)


async def result(look: Look[Query]) -> results_views.SessionResult | None:
    """Show how a session stands, or how it ended."""
    return await results_views.session(look.connection, look.path["session"], _everybody_or_own(look))


async def shots(look: Look[ShotsQuery]) -> Listing[results_views.ShotResult] | None:
    """List a session's shots in the order they came."""
    found = await results_views.shots(
        look.connection,
        look.path["session"],
        _everybody_or_own(look),
        skip=look.query.skip,
        limit=look.query.limit + 1,
    )
    if found is None:
        return None
    page = tuple(found[: look.query.limit])
    return Listing(items=page, next=str(look.query.skip + len(page)) if len(found) > len(page) else None)


async def final(look: Look[FinalQuery]) -> finals_views.Final | None:
    """Show how a final stands: stages, ranks, who has left, and who must shoot off a tie."""
    return await finals_views.final(look.connection, [UUID(one) for one in look.query.sessions.split(",")])


async def unassigned_shots(look: Look[UnassignedQuery]) -> Listing[results_views.UnassignedShot]:
    """List shots that belong to no session, in the order they came."""
    query = look.query
    found = await results_views.unassigned(look.connection, query.since, query.until, query.lane, limit=query.limit)
    return Listing(items=tuple(found))


async def statistics(look: Look[StatisticsQuery]) -> groups.GroupStatistics | None:
    """Show what a session's shots say as a group: every measure, in mm, MOA and mrad, with its interval."""
    return await groups.statistics(
        look.connection, look.path["session"], _everybody_or_own(look), confidence=look.query.confidence
    )


async def progress(look: Look[ProgressQuery]) -> progress_views.Progress | None:
    """Show how a shooter's mean score went, session by session, and whether its change is real."""
    query, person = look.query, _person(look, look.query.person)
    if person is None:
        return None
    return await progress_views.progress(
        look.connection, person, query.since, query.until, query.discipline, split_at=query.split
    )


async def shooter(look: Look[ShooterQuery]) -> shooters_views.ShooterStatistics | None:
    """Show what a shooter's sessions say together, and by lane, weapon, ammunition, hour or weekday."""
    query, person = look.query, _person(look, look.query.person)
    if person is None:
        return None
    return await shooters_views.shooter(
        look.connection,
        person,
        query.since,
        query.until,
        discipline=query.discipline,
        by=query.by,
        zone=query.time_zone,
    )


async def stability(look: Look[Query]) -> shooters_views.SessionStability | None:
    """Show a session's series of ten, and whether it held."""
    return await shooters_views.stability(look.connection, look.path["session"], _everybody_or_own(look))


async def comparison(look: Look[ComparisonQuery]) -> shooters_views.ComparisonView:
    """Show where you stand among those who share their results, as you must do yourself."""
    query = look.query
    return await shooters_views.comparison(
        look.connection, look.caller.viewer, query.since, query.until, query.discipline
    )


async def leaderboard(look: Look[ComparisonQuery]) -> shooters_views.Leaderboard:
    """Show the best of those who share their results."""
    query = look.query
    return await shooters_views.leaderboard(
        look.connection,
        look.caller.viewer,
        query.since,
        query.until,
        query.discipline,
        staff=look.caller.staff,
    )


async def attendance(look: Look[AttendanceQuery]) -> shooters_views.Attendance | None:
    """Prove on which days a shooter shot."""
    query, person = look.query, _person(look, look.query.person)
    if person is None:
        return None
    return await shooters_views.attendance(look.connection, person, query.since, query.until, ZoneInfo(query.time_zone))


async def own_reports(look: Look[ReportsQuery]) -> Listing[reports_views.ReportView]:
    """List the reports that you ordered, the latest first."""
    found = await reports_views.reports(look.connection, look.caller.viewer, look.query.limit)
    return Listing(items=tuple(found))


async def report(look: Look[Query]) -> reports_views.ReportView | None:
    """Show how a report stands, and how far it is."""
    return await reports_views.report(look.connection, look.path["report"], _everybody_or_own(look))


def _person(look: Look[Query], named: UUID | None) -> UUID | None:
    """Whom to look at: the caller, or whom staff names. Of others, a shooter learns nothing."""
    if named in {None, look.caller.person}:
        return look.caller.viewer
    return named if look.caller.staff else None


def _everybody_or_own(look: Look[Query]) -> UUID | None:
    return None if look.caller.staff else look.caller.viewer
