"""Stats' rules: each class is one, and the first line of its docstring is what is said when it is broken."""

from __future__ import annotations

from bus.errors import Rejected


class PeopleOnly(Rejected):
    """Only a person orders reports."""


class NotForOthers(Rejected):
    """Only you yourself decide whether your results are compared."""


class SessionUnknown(Rejected):
    """This shooter has no such session."""


class TimeZoneUnknown(Rejected):
    """{time_zone} is no time zone of the IANA database."""


class PeriodBackwards(Rejected):
    """The time of a report must end after it begins."""


class PeriodTooLong(Rejected):
    """A report covers {days} days at most."""


class TooManyReports(Rejected):
    """{most} of your reports are still to be made: wait for one of them."""


class RangeBusy(Rejected):
    """The range has {most} reports to make: ask again later."""


class ReportUnknown(Rejected):
    """There is no such report of yours."""


class ReportNotFailed(Rejected):
    """Only a report that failed is made once more."""


class OnlyPeopleCorrect(Rejected):
    """Only a person corrects or assigns shots."""


class NoSuchSession(Rejected):
    """There is no such session."""


class NoSuchShot(Rejected):
    """This session has no such shot."""


class NoSuchShots(Rejected):
    """This target told of no shots with these numbers."""


class NumbersBackwards(Rejected):
    """The last number must not be before the first."""


class TooManyShots(Rejected):
    """{most} shots are assigned at once at most."""
