"""Auth's table of contents."""

from __future__ import annotations

from bus.service import Hears, Service
from handlers.auth import model, reactions, store
from handlers.auth.commands import (
    AssignRoles,
    ConfirmLicence,
    DisablePerson,
    EnablePerson,
    ForeseeExpiry,
    RevokeDevice,
    RevokeLicence,
    SuspendLicence,
)
from handlers.auth.events import (
    CommandFailed,
    CommandRejected,
    DeviceRegistered,
    DeviceRevoked,
    EntitlementsPublished,
    ExpiryForeseen,
    LicenceConfirmed,
    LicenceRecorded,
    LicenceRefused,
    LicenceRevoked,
    LicenceSuspended,
    LicenceValidated,
    PersonDisabled,
    PersonEnabled,
    PersonErased,
    PersonRegistered,
    RolesAssigned,
    TokensRevoked,
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
        "recovery_code",
        "refresh_token",
        "second_factor",
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
            Hears(DisablePerson, store.load_role_book, model.disable_person),
            Hears(EnablePerson, store.load_role_book, model.enable_person),
            Hears(RevokeDevice, store.load_device_file, model.revoke_device),
            Hears(ConfirmLicence, store.load_licence_file, model.confirm_licence),
            Hears(SuspendLicence, store.load_licence_file, model.suspend_licence),
            Hears(RevokeLicence, store.load_licence_file, model.revoke_licence),
            # what does not end soon is no news
            Hears(ForeseeExpiry, store.load_own_licences, model.foresee_expiry, leaves_open=True),
            Hears(LaneHeld, store.load_licences, reactions.check_licence),
        ],
        says=[
            PersonRegistered,
            RolesAssigned,
            PersonDisabled,
            PersonEnabled,
            PersonErased,
            TokensRevoked,
            DeviceRegistered,
            DeviceRevoked,
            LicenceRecorded,
            LicenceConfirmed,
            LicenceSuspended,
            LicenceRevoked,
            EntitlementsPublished,
            ExpiryForeseen,
            LicenceValidated,
            LicenceRefused,
        ],
        asks_itself=[ForeseeExpiry],
        applies={
            PersonRegistered: store.apply_person_registered,
            RolesAssigned: store.apply_roles_assigned,
            PersonDisabled: store.apply_person_disabled,
            PersonEnabled: store.apply_person_enabled,
            PersonErased: store.apply_person_erased,
            TokensRevoked: store.apply_tokens_revoked,
            DeviceRegistered: store.apply_device_registered,
            DeviceRevoked: store.apply_device_revoked,
            LicenceRecorded: store.apply_licence_recorded,
            LicenceConfirmed: store.apply_licence_confirmed,
            LicenceSuspended: store.apply_licence_suspended,
            LicenceRevoked: store.apply_licence_revoked,
            EntitlementsPublished: store.apply_entitlements_published,
            ExpiryForeseen: store.apply_expiry_foreseen,
        },
        rejected_as=CommandRejected,
        failed_as=CommandFailed,
        kept_tables=KEPT_TABLES,
    )
