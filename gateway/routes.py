"""The one table of routes: what can be asked, told and read over HTTP, and by whom."""

from __future__ import annotations

from typing import Final

from gateway import views as read
from gateway.access import ANYBODY, DEVICE, PUBLIC, Owner, only, own_or
from gateway.asking import asks
from gateway.board import ShowsBoard
from gateway.dead_letters import ListsLetters, MovesLetters, ShowsLetter
from gateway.downloads import Downloads
from gateway.events import StreamsEvents
from gateway.forwarding import Credentials, forwards
from gateway.health import Live, Ready
from gateway.live import Follows
from gateway.routing import Route
from gateway.shots import ShowsTargets, StreamsShots, TakesFile, TakesLines, TakesShots
from gateway.showing import Listing, shows
from gateway.slots import ShowsSlots
from gateway.telling import Tells
from handlers.armory import commands as armory
from handlers.armory.views import ammunition as ammunition_views
from handlers.armory.views import audits as audits_views
from handlers.armory.views import compatibility as compatibility_views
from handlers.armory.views import custody as custody_views
from handlers.armory.views import services as services_views
from handlers.armory.views import weapons as weapons_views
from handlers.auth import commands as auth
from handlers.auth import views as auth_views
from handlers.auth.endpoint import answers, bodies
from handlers.auth.events import Role
from handlers.booking import commands as booking
from handlers.booking.views.bookings import BookingsView, BookingView
from handlers.booking.views.lanes import CeaseFireView, ClosureView, LaneView, RangeView
from handlers.booking.views.waitlist import WaitlistView
from handlers.payment import commands as payment
from handlers.payment import views as payment_views
from handlers.stats import commands as stats
from handlers.stats.views import shooters as shooters_views
from handlers.stats.views.finals import Final as Final_
from handlers.stats.views.groups import GroupStatistics
from handlers.stats.views.progress import Progress
from handlers.stats.views.reports import ReportView
from handlers.stats.views.results import SessionResult, ShotResult, UnassignedShot

STAFF: Final[tuple[Role, ...]] = ("instructor", "armourer", "cashier", "admin")
LICENSING: Final[tuple[Role, ...]] = ("instructor", "armourer", "admin")
BOOKING: Final = "/v1/bookings/{booking}"
PERSON: Final = "/v1/people/{person}"
LICENCE: Final = PERSON + "/licences/{licence}"

own_person = own_or(Owner.PERSON, *LICENSING)
own_booking = own_or(Owner.BOOKING, *STAFF)
own_rows = own_or(Owner.ROWS, *STAFF)
own_results = own_or(Owner.ROWS, "instructor", "admin")
own_invoices = own_or(Owner.ROWS, "cashier", "admin")

PEOPLE: Final = (
    forwards(
        "POST", "/v1/people", "/people", "Register: make an account.", {201: answers.Registered}, PUBLIC,
        body=bodies.Registration, repeatable=False,
    ),
    forwards(
        "POST", "/v1/bootstrap", "/bootstrap", "Make the first admin, once, with the secret that set-up made.",
        {201: answers.Registered}, PUBLIC, body=bodies.Bootstrap, repeatable=False,
    ),
    forwards("POST", "/v1/sessions", "/sessions", "Log in.", {200: answers.Tokens}, PUBLIC, body=Credentials),
    forwards(
        "POST", "/v1/sessions/refresh", "/sessions/refresh", "Get new tokens for a refresh token, which is spent.",
        {200: answers.Tokens}, PUBLIC, body=bodies.Refresh,
    ),
    forwards(
        "POST", "/v1/sessions/logout", "/sessions/logout", "Log out: end the login that a refresh token belongs to.",
        {204: None}, PUBLIC, body=bodies.Refresh,
    ),
    forwards("GET", "/v1/me", "/people/{me}", "Show who you are.", {200: answers.PersonProfile}, ANYBODY),
    forwards(
        "PUT", "/v1/me/password", "/people/{me}/password",
        "Change your password; every login ends, and the answer has the tokens of a new one.", {200: answers.Tokens},
        ANYBODY, body=bodies.PasswordChange, repeatable=False,
    ),
    forwards(
        "POST", "/v1/me/second-factor", "/people/{me}/second-factor", "Get what makes codes, to log in with besides "
        "the password.", {201: answers.SecondFactor}, ANYBODY, body=bodies.PasswordProof, repeatable=False,
    ),
    forwards(
        "POST", "/v1/me/second-factor/confirm", "/people/{me}/second-factor/confirm",
        "Confirm it by a first code; from now on logins ask for one.", {200: answers.RecoveryCodes}, ANYBODY,
        body=bodies.CodeProof, repeatable=False,
    ),
    forwards(
        "POST", "/v1/me/second-factor/remove", "/people/{me}/second-factor/remove", "Log in without codes again.",
        {204: None}, ANYBODY, body=bodies.FullProof, repeatable=False,
    ),
    forwards("GET", "/v1/me/sessions", "/people/{me}/sessions", "Show your logins.", {200: answers.Logins}, ANYBODY),
    forwards("DELETE", "/v1/me/sessions", "/people/{me}/sessions", "End all your logins.", {204: None}, ANYBODY),
    forwards(
        "DELETE", "/v1/me/sessions/{session}", "/people/{me}/sessions/{session}", "End one of your logins.",
        {204: None}, ANYBODY, repeatable=False,
    ),
    forwards(
        "GET", PERSON, "/people/{person}", "Show who somebody is.", {200: answers.PersonProfile},
        own_or(Owner.PERSON, *STAFF),
    ),
    forwards(
        "POST", PERSON + "/licences", "/people/{person}/licences", "Record a licence.", {201: answers.RecordedLicence},
        only(*LICENSING), body=bodies.LicenceEntry,
    ),
    forwards(
        "GET", PERSON + "/export", "/people/{person}/export", "Show all that says who somebody is.",
        {200: answers.Export}, own_or(Owner.PERSON, "admin"),
    ),
    forwards(
        "POST", PERSON + "/erase", "/people/{person}/erase",
        "Destroy all that says who somebody is, for ever; with the password of who asks.", {204: None},
        own_or(Owner.PERSON, "admin"), body=bodies.PasswordProof, repeatable=False,
    ),
    shows(PERSON + "/licences", read.licences, Listing[auth_views.LicenceView], own_person, of="auth"),
    shows(PERSON + "/entitlements", read.entitlements, Listing[auth_views.EntitlementView], own_person, of="auth"),
    asks("POST", LICENCE + "/confirm", auth.ConfirmLicence, only(*LICENSING)),
    asks("POST", LICENCE + "/suspend", auth.SuspendLicence, only(*LICENSING)),
    asks("POST", LICENCE + "/revoke", auth.RevokeLicence, only(*LICENSING)),
    asks("PUT", PERSON + "/age", auth.AttestAge, only(*LICENSING)),
    asks("PUT", PERSON + "/roles", auth.AssignRoles, only("admin")),
    asks("POST", PERSON + "/disable", auth.DisablePerson, only("admin")),
    asks("POST", PERSON + "/enable", auth.EnablePerson, only("admin")),
)  # fmt: skip

RULES: Final = (
    shows("/v1/rules", read.rules, auth_views.RulesView, ANYBODY, of="auth"),
    asks("PUT", "/v1/rules/{code}", auth.PublishRules, only("admin")),
    forwards(
        "POST", "/v1/rules/trial", "/rules/trial", "Show what a version of the rules would refuse of what is booked "
        "for the next sixty days.", {200: answers.RulesTrial}, only("admin"), body=bodies.RulesOnTrial,
    ),
)  # fmt: skip

BOOKINGS: Final = (
    shows("/v1/ranges", read.ranges, Listing[RangeView], ANYBODY, of="booking"),
    asks("PUT", "/v1/ranges/{range}", booking.SetUpRange, only("admin")),
    asks("POST", "/v1/ranges/{range}/cease-fire", booking.CeaseFire, only(*STAFF), result="/v1/lanes"),
    asks("POST", "/v1/ranges/{range}/resume-fire", booking.ResumeFire, only("instructor", "admin"), result="/v1/lanes"),
    shows(
        "/v1/ranges/{range}/cease-fires", read.cease_fires, Listing[CeaseFireView], only(*STAFF), of="booking",
    ),
    shows("/v1/lanes", read.all_lanes, Listing[LaneView], ANYBODY, of="booking"),
    asks("PUT", "/v1/lanes/{lane}", booking.OpenLane, only("admin")),
    asks(
        "POST", "/v1/lanes/{lane}/closures", booking.CloseLane, only("admin"),
        makes="closure", result="/v1/lanes/{lane}/closures",
    ),
    asks("POST", "/v1/lanes/{lane}/closures/{closure}/end", booking.ReopenLane, only("admin"),
         result="/v1/lanes/{lane}/closures"),
    shows("/v1/lanes/{lane}/closures", read.closures, Listing[ClosureView], ANYBODY, of="booking"),
    Route("GET", "/v1/lanes/{lane}/live", Follows(), own_rows),
    Route("GET", "/v1/board", ShowsBoard(), PUBLIC),
    Route("GET", "/v1/slots", ShowsSlots(), own_rows),
    asks(
        "POST", "/v1/bookings", booking.BookSession, own_or(Owner.BODY, *STAFF),
        makes="booking", person="person", result=BOOKING,
    ),
    shows("/v1/bookings", read.own_bookings, BookingsView, own_rows, query=read.BookingsQuery, of="booking"),
    shows(BOOKING, read.booking, BookingView, own_rows, of="booking"),
    asks("POST", BOOKING + "/cancel", booking.CancelBooking, own_booking, result=BOOKING),
    asks(
        "POST", BOOKING + "/reschedule", booking.RescheduleBooking, own_booking,
        makes="replacement", result="/v1/bookings/{replacement}",
    ),
    asks("POST", BOOKING + "/transfer", booking.TransferBooking, only("instructor", "admin"), result=BOOKING),
    asks("POST", BOOKING + "/participants", booking.AddParticipant, own_booking, result=BOOKING),
    asks("POST", BOOKING + "/participants/remove", booking.RemoveParticipant, own_booking, result=BOOKING),
    asks(
        "POST", "/v1/series", booking.BookSeries, own_or(Owner.BODY, *STAFF),
        makes="series", person="person", result="/v1/series/{series}",
    ),
    shows("/v1/series/{series}", read.series, Listing[BookingView], own_rows, of="booking"),
    asks("POST", "/v1/series/{series}/cancel", booking.CancelSeries, own_rows, result="/v1/series/{series}"),
    asks(
        "POST", "/v1/waitlist", booking.JoinWaitlist, own_or(Owner.BODY, *STAFF),
        makes="entry", person="person", result="/v1/waitlist",
    ),
    shows(
        "/v1/waitlist", read.waitlist, Listing[WaitlistView], own_rows, query=read.WaitlistQuery, of="booking",
    ),
    asks("POST", "/v1/waitlist/{entry}/leave", booking.LeaveWaitlist, own_rows, result="/v1/waitlist"),
    asks("POST", "/v1/waitlist/{entry}/accept", booking.AcceptOffer, own_rows, makes="booking", result=BOOKING),
    asks("POST", BOOKING + "/check-in", booking.CheckIn, own_booking, result=BOOKING),
    asks("POST", BOOKING + "/start", booking.StartSession, own_booking, result=BOOKING),
    asks("POST", BOOKING + "/finish", booking.FinishSession, only("instructor", "admin"), result=BOOKING),
    Route("GET", "/v1/commands/{command}", Tells(), own_rows),
)  # fmt: skip

ARMOURY: Final = (
    asks("POST", BOOKING + "/weapon", armory.IssueWeapon, only("armourer", "admin"), result=BOOKING),
    asks("POST", BOOKING + "/weapon/return", armory.ReturnWeapon, only("armourer", "admin"), result=BOOKING),
    shows("/v1/weapon-types", read.weapon_types, Listing[weapons_views.WeaponTypeView], ANYBODY, of="armory"),
    asks("PUT", "/v1/weapon-types/{weapon_type}", armory.AddWeaponType, only("armourer", "admin")),
    shows(
        "/v1/weapon-types/{weapon_type}/compatibility", read.compatibility, compatibility_views.Compatibility,
        own_rows, query=read.CompatibilityQuery, of="armory",
    ),
    shows(
        "/v1/weapons", read.weapons, Listing[weapons_views.WeaponView], own_or(Owner.ROWS, "armourer", "admin"),
        query=read.WeaponsQuery, of="armory",
    ),
    asks("POST", "/v1/weapons", armory.AddWeapon, only("armourer", "admin"), makes="weapon", result="/v1/weapons"),
    shows(
        "/v1/weapons/{weapon}/custody", read.custody, custody_views.Custody, only("armourer", "admin"),
        query=read.CustodyQuery, of="armory",
    ),
    shows(
        "/v1/weapons/{weapon}/handovers", read.handovers, custody_views.CustodyBook, only("armourer", "admin"),
        of="armory",
    ),
    asks("POST", "/v1/weapons/{weapon}/handovers/correct", armory.CorrectHandover, only("armourer", "admin")),
    asks("PUT", "/v1/weapons/{weapon}/location", armory.MoveWeapon, only("armourer", "admin")),
    asks("PUT", "/v1/weapons/{weapon}/condition", armory.AssessWeapon, only("armourer", "admin")),
    asks("PUT", "/v1/weapons/{weapon}/owner", armory.TransferWeapon, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/retire", armory.RetireWeapon, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/loss", armory.ReportLoss, only("armourer", "instructor", "admin")),
    asks("POST", "/v1/weapons/{weapon}/recover", armory.RecoverWeapon, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/quarantine", armory.QuarantineWeapon, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/release", armory.ReleaseWeapon, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/services", armory.ServiceWeapon, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/service-plan", armory.PlanService, only("armourer", "admin")),
    asks("POST", "/v1/weapons/{weapon}/service-plan/cancel", armory.CancelServicePlan, only("armourer", "admin")),
    shows(
        "/v1/weapons/{weapon}/services", read.services, Listing[services_views.Service], only("armourer", "admin"),
        of="armory",
    ),
    asks(
        "PUT", "/v1/weapon-types/{weapon_type}/service-interval", armory.SetServiceInterval, only("armourer", "admin"),
        result="/v1/weapons",
    ),
    shows(
        "/v1/weapons-out", read.weapons_out, Listing[weapons_views.WeaponOut],
        only("armourer", "instructor", "admin"), of="armory",
    ),
    shows(
        "/v1/reservations-beyond-stock", read.reservations_beyond_stock,
        Listing[weapons_views.ReservationBeyondStock], only("armourer", "admin"), of="armory",
    ),
    asks(
        "POST", "/v1/stock-audits", armory.AuditStock, only("armourer", "admin"), makes="audit",
        result="/v1/stock-audits/{audit}",
    ),
    shows("/v1/stock-audits/{audit}", read.audit, audits_views.AuditView, only("armourer", "admin"), of="armory"),
    asks(
        "POST", "/v1/incidents", armory.ReportIncident, only("armourer", "instructor", "admin"), makes="incident",
        result="/v1/incidents",
    ),
    shows(
        "/v1/incidents", read.incidents, Listing[audits_views.IncidentView], only("armourer", "instructor", "admin"),
        of="armory",
    ),
    asks("POST", "/v1/ranges/{range}/close-day", armory.CloseDay, only("armourer", "instructor", "admin")),
    shows(
        "/v1/ammunition", read.ammunition, Listing[ammunition_views.AmmunitionView], only("armourer", "admin"),
        of="armory",
    ),
    asks("POST", "/v1/ammunition", armory.StockAmmunition, only("armourer", "admin"), result="/v1/ammunition"),
    asks(
        "POST", "/v1/ammunition/write-off", armory.WriteOffAmmunition, only("armourer", "admin"),
        result="/v1/ammunition",
    ),
    asks("POST", "/v1/ammunition/recall", armory.RecallLot, only("armourer", "admin"), result="/v1/ammunition"),
    asks("POST", "/v1/ammunition/reinstate", armory.ReinstateLot, only("armourer", "admin"), result="/v1/ammunition"),
    shows(
        "/v1/ammunition/issued", read.issued_lots, Listing[ammunition_views.IssuedLot], only("armourer", "admin"),
        query=read.LotQuery, of="armory",
    ),
    shows(
        "/v1/ammunition/differences", read.differences, Listing[ammunition_views.CartridgesView],
        only("armourer", "instructor", "admin"), of="armory",
    ),
    shows(BOOKING + "/ammunition", read.cartridges, ammunition_views.CartridgesAccount, own_rows, of="armory"),
    asks(
        "POST", BOOKING + "/ammunition/explain", armory.ExplainDifference, only("armourer", "admin"),
        result=BOOKING + "/ammunition",
    ),
)  # fmt: skip

MONEY: Final = (
    shows("/v1/prices", read.prices, payment_views.PriceListView, ANYBODY, of="payment"),
    asks("PUT", "/v1/prices/{currency}", payment.PublishPriceList, only("admin"), result="/v1/prices"),
    shows(
        "/v1/invoices", read.invoices, Listing[payment_views.InvoiceSummary], own_invoices,
        query=read.InvoicesQuery, of="payment",
    ),
    shows("/v1/invoices/{invoice}", read.invoice, payment_views.InvoiceView, own_invoices, of="payment"),
    asks("POST", "/v1/invoices/{invoice}/payments", payment.TakePayment, only("cashier", "admin"),
         result="/v1/invoices/{invoice}"),
    asks("POST", "/v1/invoices/{invoice}/refunds", payment.PayRefund, only("cashier", "admin"),
         result="/v1/invoices/{invoice}"),
    shows("/v1/trial-balance", read.trial_balance, payment_views.TrialBalance, only("cashier", "admin"), of="payment"),
)  # fmt: skip

RESULTS: Final = (
    shows(
        "/v1/results", read.results, Listing[SessionResult], own_results,
        query=read.ResultsQuery, of="stats",
    ),
    shows("/v1/results/{session}", read.result, SessionResult, own_results, of="stats"),
    shows(
        "/v1/results/{session}/shots", read.shots, Listing[ShotResult], own_results,
        query=read.ShotsQuery, of="stats",
    ),
    shows(
        "/v1/results/{session}/statistics", read.statistics, GroupStatistics, own_results,
        query=read.StatisticsQuery, of="stats", cost=20,
    ),
    asks(
        "POST", "/v1/results/{session}/corrections", stats.CorrectShot, only("instructor", "admin"),
        result="/v1/results/{session}",
    ),
    asks(
        "POST", "/v1/results/{session}/assignments", stats.AssignShots, only("instructor", "admin"),
        result="/v1/results/{session}",
    ),
    shows(
        "/v1/finals", read.final, Final_, only("instructor", "admin"), query=read.FinalQuery, of="stats", cost=5,
    ),
    shows(
        "/v1/unassigned-shots", read.unassigned_shots, Listing[UnassignedShot], only("instructor", "admin"),
        query=read.UnassignedQuery, of="stats",
    ),
    shows(
        "/v1/results/{session}/stability", read.stability, shooters_views.SessionStability, own_results, of="stats",
    ),
    shows(
        "/v1/statistics", read.shooter, shooters_views.ShooterStatistics, own_results, query=read.ShooterQuery,
        of="stats", cost=20,
    ),
    shows(
        "/v1/comparison", read.comparison, shooters_views.ComparisonView, ANYBODY, query=read.ComparisonQuery,
        of="stats", cost=20,
    ),
    shows(
        "/v1/leaderboard", read.leaderboard, shooters_views.Leaderboard, own_results, query=read.ComparisonQuery,
        of="stats", cost=20,
    ),
    shows(
        "/v1/attendance", read.attendance, shooters_views.Attendance, own_or(Owner.ROWS, *STAFF),
        query=read.AttendanceQuery, of="stats",
    ),
    asks("PUT", PERSON + "/sharing", stats.ShareResults, own_or(Owner.PERSON), result="/v1/comparison"),
    shows("/v1/progress", read.progress, Progress, own_results, query=read.ProgressQuery, of="stats", cost=20),
)  # fmt: skip

REPORT: Final = "/v1/reports/{report}"
own_report = own_or(Owner.ROWS, "admin")
for_shooters = own_or(Owner.BODY, "instructor", "admin")

REPORTS: Final = (
    asks(
        "POST", "/v1/session-cards", stats.OrderSessionCard, for_shooters, makes="report", person="person",
        result=REPORT,
    ),
    asks(
        "POST", "/v1/season-reports", stats.OrderSeasonReport, for_shooters, makes="report", person="person",
        result=REPORT,
    ),
    asks(
        "POST", "/v1/club-reports", stats.OrderClubReport, only("instructor", "analyst", "admin"), makes="report",
        result=REPORT,
    ),
    shows("/v1/reports", read.own_reports, Listing[ReportView], ANYBODY, query=read.ReportsQuery, of="stats"),
    shows(REPORT, read.report, ReportView, own_report, of="stats"),
    Route("GET", REPORT + "/file", Downloads(), own_report),
    asks("POST", REPORT + "/retry", stats.RetryReport, own_or(Owner.REPORT), result=REPORT),
)  # fmt: skip

ANALYSTS: Final = (Route("GET", "/v1/events", StreamsEvents(), only("analyst")),)

IMPORTING: Final = only("instructor", "admin")

DEVICES: Final = (
    forwards(
        "POST", "/v1/devices", "/devices", "Register a target for a lane; its secret is told this once.",
        {201: answers.DeviceSecret}, only("armourer", "admin"), body=bodies.DeviceEntry,
    ),
    forwards(
        "POST", "/v1/devices/token", "/devices/token", "Get a target's token for its secret.",
        {200: answers.DeviceToken}, PUBLIC, body=bodies.DeviceProof,
    ),
    asks("POST", "/v1/devices/{device}/revoke", auth.RevokeDevice, only("armourer", "admin")),
    Route("POST", "/v1/devices/{device}/shots", TakesShots(), DEVICE),
    Route("POST", "/v1/devices/{device}/shots/lines", TakesLines(), DEVICE),
    Route("GET", "/v1/devices/{device}/shots/stream", StreamsShots(), DEVICE),
    Route("POST", "/v1/lanes/{lane}/imports/shotmarker-csv", TakesFile("shotmarker-csv"), IMPORTING, cost=20),
    Route("POST", "/v1/lanes/{lane}/imports/shotmarker-tar", TakesFile("shotmarker-tar"), IMPORTING, cost=20),
    Route("POST", "/v1/lanes/{lane}/imports/targetscan", TakesFile("targetscan"), IMPORTING, cost=20),
    Route("GET", "/v1/targets", ShowsTargets(), only(*STAFF)),
)  # fmt: skip

OPERATIONS: Final = (
    Route("GET", "/v1/dead-letters", ListsLetters(), only("admin")),
    Route("GET", "/v1/dead-letters/{service}/{position}", ShowsLetter(), only("admin")),
    Route(
        "POST", "/v1/dead-letters/requeue",
        MovesLetters("requeue", "Have messages tried again: a dead one once more, a waiting stream from its head."),
        only("admin"),
    ),
    Route(
        "POST", "/v1/dead-letters/discard",
        MovesLetters("discard", "Give messages up for good; a held stream goes on behind its head."), only("admin"),
    ),
)  # fmt: skip

HEALTH: Final = (
    Route("GET", "/health/live", Live(), PUBLIC, cost=0),
    Route("GET", "/health/ready", Ready(), PUBLIC, cost=0),
)

ROUTES: Final = (
    *PEOPLE,
    *RULES,
    *BOOKINGS,
    *ARMOURY,
    *MONEY,
    *RESULTS,
    *REPORTS,
    *ANALYSTS,
    *DEVICES,
    *OPERATIONS,
    *HEALTH,
)
