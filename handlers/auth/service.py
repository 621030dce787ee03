"""Auth's table of contents."""

from __future__ import annotations

from bus.service import Hears, Service
from handlers.auth import model, reactions, store
from handlers.auth.commands import AssignRoles, ConfirmLicence, SuspendLicence
from handlers.auth.events import (
    CommandFailed,
    CommandRejected,
    DeviceRegistered,
    EntitlementsPublished,
    LicenceConfirmed,
    LicenceRecorded,
    LicenceRefused,
    LicenceSuspended,
    LicenceValidated,
    PersonRegistered,
    RolesAssigned,
)
from handlers.booking.events import LaneHeld

KEPT_TABLES = frozenset(
    {
        "account",
        "bootstrap",
        "device_secret",
        "licence_document",
        "login_attempt",
        "person_key",
        "refresh_token",
        "service_credential",
        "session",
        "signing_key",
    }
)


def service() -> Service:
    return Service(
        name="auth",
        hears=[
            Hears(AssignRoles, store.load_role_book, model.assign_roles),
            Hears(ConfirmLicence, store.load_licence_file, model.confirm_licence),
            Hears(SuspendLicence, store.load_licence_file, model.suspend_licence),
            Hears(LaneHeld, store.load_licences, reactions.check_licence),
        ],
        says=[
            PersonRegistered,
            RolesAssigned,
            DeviceRegistered,
            LicenceRecorded,
            LicenceConfirmed,
            LicenceSuspended,
            EntitlementsPublished,
            LicenceValidated,
            LicenceRefused,
        ],
        applies={
            PersonRegistered: store.apply_person_registered,
            RolesAssigned: store.apply_roles_assigned,
            DeviceRegistered: store.apply_device_registered,
            LicenceRecorded: store.apply_licence_recorded,
            LicenceConfirmed: store.apply_licence_confirmed,
            LicenceSuspended: store.apply_licence_suspended,
            EntitlementsPublished: store.apply_entitlements_published,
        },
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
        kept_tables=KEPT_TABLES,
    )
