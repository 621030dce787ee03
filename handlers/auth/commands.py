"""What auth can be asked through the log. What carries personal data or secrets goes by auth's own endpoint."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from bus.fields import Code
from bus.message import Command
from handlers.auth.events import Role


class AssignRoles(Command, name="auth.assign-roles", stream="person:{person}"):
    """Set what a person may be at the range."""

    person: UUID
    roles: tuple[Role, ...] = Field(max_length=6)


class DisablePerson(Command, name="auth.disable-person", stream="person:{person}"):
    """Let somebody use the account no more, from now on."""

    person: UUID
    reason: Code


class EnablePerson(Command, name="auth.enable-person", stream="person:{person}"):
    """Let somebody use the account again."""

    person: UUID


class RevokeDevice(Command, name="auth.revoke-device", stream="device:{device}"):
    """Take a target's right to report, from now on; registered again it has a new secret."""

    device: Code
    reason: Code


class ConfirmLicence(Command, name="auth.confirm-licence", stream="person:{person}"):
    """Note that staff has seen a licence and found it good."""

    person: UUID
    licence: UUID


class SuspendLicence(Command, name="auth.suspend-licence", stream="person:{person}"):
    """Make a licence count no more until it is confirmed again; bookings that depended on it are called off."""

    person: UUID
    licence: UUID
    reason: Code


class RevokeLicence(Command, name="auth.revoke-licence", stream="person:{person}"):
    """Make a licence count no more for good; bookings that depended on it are called off."""

    person: UUID
    licence: UUID
    reason: Code


class ForeseeExpiry(Command, name="auth.foresee-expiry", stream="person:{person}"):
    """See whether what a person may shoot ends soon; auth asks it of itself when that time comes."""

    person: UUID
