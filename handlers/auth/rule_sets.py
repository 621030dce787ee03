"""The rule sets that come with the range, as data: start from one of them, and publish your own versions."""

from __future__ import annotations

from typing import Final

from handlers.auth.rule_set import ClassRules, Experience, RuleSet, Way


def _licensed(*categories: str) -> tuple[Way, ...]:
    return (Way(categories=categories),)


GENERIC: Final = RuleSet(
    code="generic",
    version=1,
    title="Generic",
    jurisdiction="none",
    note="House rules: a licence for a class of weapons is one for every weaker class, too.",
    classes=(
        ClassRules(weapon_class="air", ways=_licensed("pneumatic", "smallbore", "centrefire")),
        ClassRules(weapon_class="smallbore", ways=_licensed("smallbore", "centrefire")),
        ClassRules(weapon_class="centrefire", ways=_licensed("centrefire")),
    ),
)

_SMOOTHBORE: Final = ("smoothbore-long-2", "smoothbore-long")
_RIFLED: Final = ("rifled-long", "rifled-paradox-lancaster")

RUSSIAN_CIVIL: Final = RuleSet(
    code="ru-civil",
    version=1,
    title="Modelled on Russian civil categories",
    jurisdiction="ru",
    note=(
        "Not legal advice. Modelled on 150-FZ and 231-FZ as of 2022: age 21 for firearms, 2 years of smoothbore before "
        "a magazine, 5 years of long smoothbore before rifled, short rifled sport weapons on premises. Exceptions are "
        "left out, and the guests' way is a house rule: have a lawyer check it, and publish your own version."
    ),
    time_zone="Europe/Moscow",
    supervisors=1,
    classes=(
        ClassRules(
            weapon_class="air",
            ways=(
                Way(categories=("pneumatic-7j5", "pneumatic-sport", *_SMOOTHBORE, *_RIFLED), age=18),
                Way(age=14, per_supervisor=2),
            ),
        ),
        ClassRules(weapon_class="air-sport", ways=(Way(categories=("pneumatic-sport",), age=18),)),
        ClassRules(weapon_class="signal", ways=(Way(categories=("signal",), age=18),)),
        ClassRules(weapon_class="traumatic", ways=(Way(categories=("smoothbore-traumatic",), age=21),)),
        ClassRules(weapon_class="smoothbore", ways=(Way(categories=_SMOOTHBORE, age=21),)),
        ClassRules(
            weapon_class="smoothbore-magazine",
            ways=(
                Way(
                    categories=("smoothbore-long",),
                    age=21,
                    experience=Experience(categories=_SMOOTHBORE, years=2),
                ),
            ),
        ),
        ClassRules(
            weapon_class="rifled-long",
            ways=(Way(categories=_RIFLED, age=21, experience=Experience(categories=_SMOOTHBORE, years=5)),),
        ),
        ClassRules(
            weapon_class="short-rifled",
            ways=(
                Way(
                    categories=("sport-short-rifled",),
                    age=21,
                    experience=Experience(categories=_SMOOTHBORE, years=5),
                ),
                Way(categories=("sport-short-rifled",), age=18, per_supervisor=1),
            ),
        ),
    ),
)

BUILT_IN: Final = (GENERIC, RUSSIAN_CIVIL)
