"""One spelling for what is written in many: normal forms are their own normal form, and equal persons meet."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.identity import normalise
from orchestration.identity.ruleset import load_rules
from orchestration.settings import Settings

RULES = load_rules(Settings(_env_file=None))
TEXTS = st.text(max_size=40)
COUNTRIES = st.sampled_from(["FR", "BE", "DE", "GB", "CH", "US", "AU", None])
WORDS = st.text("abcdefghijklmnopqrstuvwxyzàâçéèêëîïôöùûüßñ", min_size=2, max_size=12)


@pytest.mark.parametrize("kind", ["email", "phone", "name", "street", "postal_code", "loyalty_number"])
@given(text=TEXTS, country=COUNTRIES)
def test_a_normal_form_is_its_own_normal_form(kind: str, text: str, country: str | None) -> None:
    normal = normalise.normalisers(RULES)[kind](text, country)
    assert normal is None or normalise.normalisers(RULES)[kind](normal, country) == normal


@given(local=st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12), tag=WORDS.map(normalise.plain))
def test_an_address_in_capitals_or_with_a_tag_is_the_same_address(local: str, tag: str) -> None:
    plain = normalise.email(f"{local}@example.com", RULES)
    assert plain == f"{local}@example.com"
    assert normalise.email(f" {local.upper()}+{tag}@Example.COM ", RULES) == plain


def test_dots_and_tags_are_ignored_where_the_provider_ignores_them() -> None:
    assert normalise.email("Jean.Dupont+promo@googlemail.com", RULES) == "jeandupont@gmail.com"
    assert normalise.email("jean.dupont@example.com", RULES) == "jean.dupont@example.com"
    assert normalise.email("jean+dupont@yahoo.com", RULES) == "jean+dupont@yahoo.com"


@pytest.mark.parametrize(
    "text", ["theo at example.com", "@example.com", "a@b", "a b@example.com", "a..b@example.com", ""]
)
def test_what_is_no_address_is_no_evidence(text: str) -> None:
    assert normalise.email(text, RULES) is None


@given(first=WORDS, last=WORDS)
def test_names_meet_whatever_their_case_accents_and_particles(first: str, last: str) -> None:
    plain = normalise.name(f"{first} {last}", RULES)
    assert normalise.name(f"{first.upper()}-{normalise.plain(last)}", RULES) == plain


def test_particles_and_apostrophes_do_not_part_a_family() -> None:
    assert normalise.name("Van der Moër", RULES) == normalise.name("MOER", RULES) == "moer"
    assert normalise.name("d'Artagnan", RULES) == normalise.name("Artagnan", RULES)
    assert normalise.name("O'Kearney", RULES) == normalise.name("OKEARNEY", RULES)
    assert normalise.name("Le", RULES) == "le"
    assert normalise.name("N/A", RULES) is None


@given(number=st.integers(0, 9999))
def test_a_telephone_number_is_one_however_it_is_written(number: int) -> None:
    digits = f"{number:04d}"
    expected = f"+3363998{digits}"
    assert normalise.phone(f"06 39 98 {digits[:2]} {digits[2:]}", "FR", RULES) == expected
    assert normalise.phone(f"+33 (0)6.39.98.{digits}", "BE", RULES) == expected
    assert normalise.phone(f"0033 639 98 {digits}", "FR", RULES) == expected


def test_a_number_is_read_by_its_country() -> None:
    assert normalise.phone("07700 900 123", "GB", RULES) == "+447700900123"
    assert normalise.phone("07700 900 123", "FR", RULES) is None
    assert normalise.phone("12", "FR", RULES) is None


# a number with a space is read by the parser of all writings
@given(code=st.integers(1, 999), digits=st.text(string.digits, min_size=3, max_size=13), country=COUNTRIES)
def test_an_international_number_is_read_at_once_as_any_other_writing_is(
    code: int, digits: str, country: str | None
) -> None:
    assert normalise.phone(f"+{code}{digits}", country, RULES) == normalise.phone(f" +{code} {digits}", country, RULES)


def test_addresses_meet_with_and_without_abbreviations() -> None:
    assert normalise.street("Av. des Trois-Comètes, 5", RULES) == normalise.street("5 avenue des TROIS COMETES", RULES)
    assert normalise.postal_code("6000", "FR", RULES) == "06000"
    assert normalise.postal_code("F-75001", "FR", RULES) == "75001"
    assert normalise.postal_code("ls1 3aq", "GB", RULES) == normalise.postal_code("LS13AQ", "GB", RULES) == "LS13AQ"
    assert normalise.postal_code("97201-1234", "US", RULES) == "97201"


def test_a_function_a_shop_or_a_throw_away_address_is_nobodys() -> None:
    own = normalise.normalisers(RULES)["email"]
    assert own("Info@boutique.example", None) is None
    assert own("somebody@yopmail.com", None) is None
    assert own("somebody@example.com", None) == "somebody@example.com"
