"""What a rule set is: data with a version, which says under which conditions each class of weapons may be shot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.fields import Code, Text

Years = Annotated[int, Field(ge=1, le=100)]


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Experience(_Data):
    """So many years since the holder first had a licence of one of these categories."""

    categories: tuple[Code, ...] = Field(min_length=1, max_length=20)
    years: Years


class Way(_Data):
    """One way to be allowed; all of its conditions must hold."""

    categories: tuple[Code, ...] = Field(
        default=(), max_length=20, description="a confirmed licence of one of these; none is taken: a guest's way"
    )
    age: int = Field(default=0, ge=0, le=120, description="at least, as shown to the staff")
    experience: Experience | None = None
    per_supervisor: Annotated[int, Field(ge=1, le=50)] | None = Field(
        default=None, description="under supervision: so many shooters for each supervisor on duty"
    )


class ClassRules(_Data):
    """A class of weapons, and the ways to be allowed to shoot it."""

    weapon_class: Code
    ways: tuple[Way, ...] = Field(min_length=1, max_length=10)


class RuleSet(_Data):
    """Who may shoot what at the range: one version of its rules."""

    code: Code
    version: Annotated[int, Field(ge=1, le=10**6)]
    title: Text
    jurisdiction: Code = Field(description="whose law it is modelled on, like `ru`; `none` for house rules alone")
    note: Text = Field(description="what to know before relying on it")
    time_zone: Text = Field(default="UTC", description="in which the days on licences begin and end")
    supervisors: Annotated[int, Field(ge=0, le=100)] = Field(default=0, description="on duty at a time")
    classes: tuple[ClassRules, ...] = Field(max_length=50)

    def ways(self, weapon_class: str) -> tuple[Way, ...]:
        """How the class may be shot; none for a class that the rules say nothing about."""
        return next((one.ways for one in self.classes if one.weapon_class == weapon_class), ())

    @property
    def categories(self) -> Mapping[str, frozenset[str]]:
        """Which categories of licences entitle to which class, under whatever other conditions."""
        return {
            one.weapon_class: frozenset(category for way in one.ways for category in way.categories)
            for one in self.classes
        }
