"""How people and cashiers write what they know: with typing errors, in another order, in another form."""

from random import Random
from typing import Final

_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}


def mistyped(text: str, chance: Random) -> str:
    """Exchange two letters, leave one out or double one; the first letter stays."""
    if len(text) < 4:
        return text
    place = chance.randrange(1, len(text) - 1)
    kind = chance.randrange(3)
    if kind == 0:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text[:place] + text[place + 1 :] if kind == 1 else text[:place] + text[place] + text[place:]


def mistyped_email(email: str, chance: Random) -> str:
    """Make a typing error before the @; the domain stays example.com."""
    local, _, domain = email.partition("@")
    return f"{mistyped(local, chance)}@{domain}"


def written_phone(phone: str, chance: Random) -> str:
    """Write an E.164 number of the United States in one of seven forms, one of them full-width."""
    area, exchange, line = phone[2:5], phone[5:8], phone[8:]
    forms = (
        phone,
        f"{area}{exchange}{line}",
        f"{area} {exchange} {line}",
        f"({area}) {exchange}-{line}",
        f"1-{area}-{exchange}-{line}",
        f"+1 {area} {exchange} {line}",
        full_width(f"{area} {exchange} {line}"),
    )
    return chance.choices(forms, weights=(30, 15, 15, 20, 8, 8, 4))[0]


def full_width(text: str) -> str:
    """Write in the wide forms of an East Asian keyboard."""
    return text.translate(_FULL_WIDTH)


def written_name(first: str, last: str, chance: Random) -> str:
    """Write a name into one field: either order, with a comma or without, in capitals now and then."""
    forms = (f"{first} {last}", f"{last}, {first}", f"{last} {first}", f"{first} {last}".upper(), f"{first[0]}. {last}")
    return chance.choices(forms, weights=(50, 22, 15, 8, 5))[0]
