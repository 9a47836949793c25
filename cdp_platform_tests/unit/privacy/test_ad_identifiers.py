"""Identifiers as advertising platforms ask for them; the hashes are the vendor's own examples."""

import pytest

from cdp_platform.privacy import ad_identifiers as identifiers
from cdp_platform.privacy import normalise


@pytest.mark.parametrize(
    ("normalised", "expected"),
    [
        (
            normalise.email("John_Smith@gmail.com"),
            "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        ),
        (
            identifiers.meta_phone("(650)555-1212", "US"),
            "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        ),
        (identifiers.meta_name("Mary"), "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
        (identifiers.meta_name("정"), "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
        (identifiers.meta_name("Valéry"), "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ],
)
def test_metas_examples_give_metas_hashes(normalised: str, expected: str) -> None:
    assert identifiers.sha256(normalised) == expected


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("0912-345-678", "TW", "+886912345678"),
        ("+886 0912 345 678", "TW", "+886912345678"),
        ("０９１２３４５６７８", "TW", "+886912345678"),
        ("(800) 555-0100 ext. 12", "US", "+18005550100"),
        ("+44 20 7946 0958", "", "+442079460958"),
        ("090-1234-5678", "jp", "+819012345678"),
        ("5550100", "US", ""),
        ("0912-345-678", "", ""),
        ("12", "US", ""),
        ("none", "US", ""),
        ("", "US", ""),
    ],
)
def test_a_telephone_number_is_read_as_people_of_the_region_write_it(text: str, region: str, expected: str) -> None:
    assert identifiers.phone(text, region) == expected


def test_meta_takes_a_telephone_number_without_the_plus() -> None:
    assert identifiers.meta_phone("0912-345-678", "TW") == "886912345678"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Jean-Luc ", "jeanluc"),
        ("O'Neil", "oneil"),
        ("Anna  Maria", "anna maria"),
        ("王 小明", "王 小明"),
        ("Vale\u0301ry", "valéry"),
        ("!?", ""),
    ],
)
def test_meta_takes_a_name_without_punctuation(text: str, expected: str) -> None:
    assert identifiers.meta_name(text) == expected


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("California", "us", "ca"),
        ("New York", "", "ny"),
        ("TX", "us", "tx"),
        ("Georgia", "ge", "georgia"),
        ("Île-de-France", "fr", "îledefrance"),
    ],
)
def test_meta_takes_a_state_of_the_united_states_as_two_letters(text: str, country: str, expected: str) -> None:
    assert identifiers.meta_state(text, country) == expected


@pytest.mark.parametrize(
    ("text", "country", "expected"),
    [
        ("94035-1234", "us", "94035"),
        ("94035-1234", "", "94035"),
        ("WC2H 8LG", "gb", "wc2h8lg"),
        ("100-0001", "jp", "1000001"),
        ("10491", "tw", "10491"),
    ],
)
def test_meta_takes_a_postal_code_without_dash_and_space(text: str, country: str, expected: str) -> None:
    assert identifiers.meta_postal(text, country) == expected


def test_meta_takes_a_city_as_letters_only() -> None:
    assert identifiers.meta_city("St. Louis 2") == "stlouis"
    assert identifiers.meta_city("台北市") == "台北市"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Female", "f"), ("M", "m"), ("女", "f"), ("男性", "m"), ("unknown", ""), ("", "")],
)
def test_a_gender_is_one_letter_or_nothing(text: str, expected: str) -> None:
    assert identifiers.gender(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1984-02-29", "19840229"),
        ("02/29/1984", "19840229"),
        ("1984年2月9日", "19840209"),
        ("1985-02-29", ""),
        ("1884-02-28", ""),
        ("soon", ""),
    ],
)
def test_a_date_of_birth_exists_or_is_left_out(text: str, expected: str) -> None:
    assert identifiers.birth_date(text) == expected


@pytest.mark.parametrize(("text", "expected"), [(" US ", "us"), ("ＴＷ", "tw"), ("USA", ""), ("U1", "")])
def test_a_country_is_two_letters(text: str, expected: str) -> None:
    assert identifiers.country(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cloudy.SanFrancisco+shopping@Gmail.com", "cloudysanfrancisco@gmail.com"),
        ("a.b@googlemail.com", "ab@googlemail.com"),
        ("user.name+NYC@Example.com", "user.name+nyc@example.com"),
        (" user name@example.com ", "username@example.com"),
        ("+tag@gmail.com", ""),
        ("nobody", ""),
    ],
)
def test_google_takes_an_address_without_the_dots_that_gmail_ignores(text: str, expected: str) -> None:
    assert identifiers.google_email(text) == expected


def test_google_takes_names_without_title_and_suffix() -> None:
    assert identifiers.google_given_name(" Mrs. Ada ") == "ada"
    assert identifiers.google_family_name("Lindqvist, Jr.") == "lindqvist"
    assert identifiers.google_family_name("O'Neil III") == "o'neil"


def test_nothing_gives_no_hash() -> None:
    assert identifiers.sha256("") == ""
    assert identifiers.is_hashed(identifiers.sha256("a"))
    assert not identifiers.is_hashed("a")
