"""Made-up people with made-up errors, and who is who: seeded, so that a figure can be measured again.

Three shapes: `light` and `heavy` have the columns of a registration form (name, address, birth date, number of an
office), with one or up to five copies of a person; `voters` has a name, an age and a place, and nothing strong.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

Row = dict[str, str]
T = TypeVar("T")

_STARTS = [
    "b",
    "br",
    "c",
    "ch",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "th",
    "v",
    "w",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ie", "oo"]
_ENDS = ["n", "r", "l", "s", "t", "m", "d", "ck", "nd", "rt", "ll", "y", "h", "ng", "th"]
_GIVEN = (
    "james mary robert patricia john jennifer michael linda david elizabeth william barbara richard susan joseph "
    "jessica thomas sarah christopher karen charles lisa daniel nancy matthew sandra anthony betty mark ashley "
    "donald emily steven kimberly andrew margaret paul donna joshua michelle kenneth carol kevin amanda brian "
    "melissa timothy deborah ronald stephanie george rebecca jason sharon edward laura jeffrey cynthia ryan "
    "dorothy jacob amy nicholas kathleen gary angela eric shirley jonathan emma stephen brenda larry pamela "
    "justin nicole scott anna brandon samantha benjamin katherine samuel christine gregory helen alexander debra "
    "patrick rachel frank carolyn raymond janet "
)
_STATES = ["nsw", "vic", "qld", "wa", "sa", "tas", "act", "nt"]
_SOUNDS = (
    ("ph", "f"),
    ("ck", "k"),
    ("ie", "ei"),
    ("ee", "ea"),
    ("c", "k"),
    ("s", "z"),
    ("y", "i"),
    ("ll", "l"),
    ("th", "t"),
)
_LOOKS = {"o": "0", "l": "1", "s": "5", "b": "8", "0": "o", "1": "l", "5": "s", "8": "b", "m": "n", "u": "v", "e": "c"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How dirty: copies of a person, errors in a copy and in one of its fields, and the columns."""

    copies: int
    errors: int
    errors_in_field: int
    columns: tuple[str, ...]
    family_share: float


_FORM = (
    "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state", "date_of_birth",
    "soc_sec_id",
)  # fmt: skip
_VOTER = ("first_name", "middle_name", "last_name", "age", "sex", "street_address", "city", "zip_code", "phone_num")
SHAPES: Mapping[str, Shape] = {
    "light": Shape(copies=1, errors=4, errors_in_field=1, columns=_FORM, family_share=0.1),
    "heavy": Shape(copies=5, errors=10, errors_in_field=2, columns=_FORM, family_share=0.1),
    "voters": Shape(copies=1, errors=2, errors_in_field=1, columns=_VOTER, family_share=0.3),
}


def make_dirty(shape: str, people: int, *, seed: int = 1) -> tuple[pa.Table, list[tuple[str, str]]]:
    """Make records and the truth (record, person). `light` copies every person once, the others some of them."""
    rng, kind = random.Random(seed), SHAPES[shape]
    world = _World(rng)
    rows: list[Row] = []
    truth: list[tuple[str, str]] = []
    last: Row | None = None
    for number in range(people):
        person = world.relative_of(last) if last and rng.random() < kind.family_share else world.stranger()
        last = person
        copies = 1 if shape == "light" else min(kind.copies, int(rng.paretovariate(1.2)) - (rng.random() < 0.4))
        versions = [person, *(spoilt(rng, person, kind) for _ in range(max(0, copies)))]
        for copy, version in enumerate(versions):
            key = f"rec-{number}-{'org' if copy == 0 else f'dup-{copy - 1}'}"
            rows.append({"rec_id": key, **{name: version[name] for name in kind.columns}})
            truth.append((key, f"person-{number}"))
    rng.shuffle(rows)
    names = ["rec_id", *kind.columns]
    return pa.table({name: [row[name] or None for row in rows] for name in names}), truth


def spoilt(rng: random.Random, person: Row, kind: Shape) -> Row:
    """A copy with errors of typing, hearing and reading, and with empty and exchanged fields."""
    copy = dict(person)
    done: dict[str, int] = {}
    for _ in range(rng.randint(1, kind.errors)):
        name = rng.choice(kind.columns)
        if done.get(name, 0) < kind.errors_in_field:
            done[name] = done.get(name, 0) + 1
            _spoil_field(rng, copy, name, kind.columns)
    return copy


def _spoil_field(rng: random.Random, copy: Row, name: str, columns: Sequence[str]) -> None:
    if name in ("state", "sex", "age"):
        copy[name] = rng.choice(["", copy[name], str(rng.randint(18, 90)) if name == "age" else rng.choice(_STATES)])
        return
    if rng.random() < 0.08:
        copy[name] = ""
    elif rng.random() < 0.06 and name in columns[:3] and columns[0] in ("given_name", "first_name"):
        other = columns[1] if columns[1] == "surname" else columns[2]
        copy[columns[0]], copy[other] = copy[other], copy[columns[0]]
    elif copy[name]:
        copy[name] = rng.choice(_ERRORS)(rng, copy[name])


def _inserted(rng: random.Random, text: str) -> str:
    place = rng.randint(0, len(text))
    return text[:place] + rng.choice(_alphabet(text)) + text[place:]


def _deleted(rng: random.Random, text: str) -> str:
    place = rng.randrange(len(text))
    return text[:place] + text[place + 1 :]


def _replaced(rng: random.Random, text: str) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(_alphabet(text)) + text[place + 1 :]


def _exchanged(rng: random.Random, text: str) -> str:
    place = rng.randrange(max(1, len(text) - 1))
    return text[:place] + text[place + 1 : place + 2] + text[place] + text[place + 2 :]


def _misheard(rng: random.Random, text: str) -> str:
    sounds = [pair for pair in _SOUNDS if pair[0] in text]
    return text.replace(*rng.choice(sounds), 1) if sounds else _replaced(rng, text)


def _misread(rng: random.Random, text: str) -> str:
    places = [place for place, letter in enumerate(text) if letter in _LOOKS]
    if not places:
        return _replaced(rng, text)
    place = rng.choice(places)
    return text[:place] + _LOOKS[text[place]] + text[place + 1 :]


def _respaced(rng: random.Random, text: str) -> str:
    if " " in text:
        return text.replace(" ", "", 1)
    place = rng.randint(1, max(1, len(text) - 1))
    return f"{text[:place]} {text[place:]}"


_ERRORS: Sequence[Callable[[random.Random, str], str]] = (
    _inserted, _deleted, _replaced, _exchanged, _inserted, _deleted, _replaced, _exchanged, _misheard, _misread,
    _respaced,
)  # fmt: skip


def _alphabet(text: str) -> str:
    return "0123456789" if text.replace(" ", "").isdigit() else "abcdefghijklmnopqrstuvwxyz"


class _World:
    """Names and places, common and rare ones."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._given = _GIVEN.split() + [self._word(2) for _ in range(300)]
        self._surnames = [self._word(2) for _ in range(1500)]
        self._streets = [
            f"{self._word(2)} {kind}" for kind in ("street", "place", "circuit", "crescent") for _ in range(400)
        ]
        self._suburbs = [(self._word(3), f"{rng.randint(1000, 9999)}", rng.choice(_STATES)) for _ in range(600)]

    def stranger(self) -> Row:
        """A person who shares with others only what chance gives."""
        rng = self._rng
        suburb, postcode, state = self._common(self._suburbs)
        born = f"{rng.randint(1910, 2004)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        row = {
            "surname": self._common(self._surnames),
            "street_number": str(int(rng.paretovariate(0.6)) % 400 + 1),
            "address_1": self._common(self._streets),
            "address_2": self._word(3) if rng.random() < 0.4 else "",
            "suburb": suburb,
            "postcode": postcode,
            "state": state,
        }
        return self._self(row, born)

    def relative_of(self, other: Row) -> Row:
        """Somebody of the same name at the same address."""
        rng = self._rng
        born = f"{rng.randint(1910, 2004)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
        relative = self._self({name: other[name] for name in _FORM if name in other}, born)
        # One in thirty bears the name of the other, as father and son do.
        while relative["given_name"][0] == other["given_name"][0] and rng.random() < 0.97:
            relative = self._self(relative, born)
        return relative

    def _self(self, row: Row, born: str) -> Row:
        rng = self._rng
        given = self._common(self._given)
        row |= {"given_name": given, "date_of_birth": born, "soc_sec_id": str(rng.randint(1000000, 9999999))}
        return row | {
            "first_name": given,
            "middle_name": self._common(self._given) if rng.random() < 0.8 else "",
            "last_name": row["surname"],
            "age": str(2022 - int(born[:4])),
            "sex": rng.choice("mf"),
            "street_address": f"{row['street_number']} {row['address_1']}",
            "city": row["suburb"],
            "zip_code": row["postcode"],
            "phone_num": f"{rng.randint(2000000000, 9899999999)}" if rng.random() < 0.5 else "",
        }

    def _common(self, choices: Sequence[T]) -> T:
        """The first are drawn far more often than the last."""
        return choices[int(len(choices) * self._rng.random() ** 2.5)]

    def _word(self, syllables: int) -> str:
        rng = self._rng
        return "".join(rng.choice(_STARTS) + rng.choice(_VOWELS) for _ in range(syllables)) + rng.choice(_ENDS)
