"""One spelling for what is written in many: e-mail, telephone, names, address, birth date.

Every function is pure and idempotent, takes one text and returns its normal form, or None where the text holds no
usable value. They are applied to distinct values only (`values.py`), never row by row.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from orchestration.identity.ruleset import Ruleset

_PLAIN_EMAIL = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}")
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i", "ħ": "h"}
)
_WORDS = re.compile(r"[^\W_]+")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_COUNTRY_PREFIX = re.compile(r"^(?:[A-Z]{1,3})[- ]+(?=\d)")
#: Digits of a postal code, where it is digits only: leading zeros that a spreadsheet dropped are put back.
_POSTAL_DIGITS = {
    "AT": 4, "AU": 4, "BE": 4, "CH": 4, "DE": 5, "DK": 4, "ES": 5, "FI": 5, "FR": 5, "GF": 5, "GP": 5, "IT": 5, "LU": 4,
    "MC": 5, "MQ": 5, "NO": 4, "PL": 5, "PT": 7, "RE": 5, "SE": 5, "US": 5, "YT": 5,
}  # fmt: skip


def plain(text: str) -> str:
    """Small letters without accents; compatibility forms (ligatures, full-width letters) are taken apart."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    return bare.casefold().translate(_LETTERS)


def email(text: str, rules: Ruleset) -> str | None:
    """The address that receives the mail: small letters, without tag and dots where the provider ignores them."""
    written = unicodedata.normalize("NFKC", text).strip().strip("<>").lower()
    if not _PLAIN_EMAIL.fullmatch(written) or ".." in written or len(written) > 254:
        checked = _checked(written)
        if checked is None:
            return None
        written = checked
    local, _, domain = written.rpartition("@")
    if len(local) > 64:
        return None
    provider = rules.email.of(domain)
    if provider.ignore_tags and "+" in local[1:]:
        local = local[: local.index("+", 1)]
    if provider.ignore_dots:
        local = local.replace(".", "")
    return f"{local.strip('.')}@{provider.same_as or domain}" if local.strip(".") else None


def _checked(text: str) -> str | None:
    """What email-validator makes of an address that is not plain; None where it is none."""
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return (found.ascii_email or found.normalized).lower()


def phone(text: str, country: str | None, rules: Ruleset) -> str | None:
    """E.164 (``+33612345678``); a number without a country code is one of ``country``."""
    import phonenumbers

    if _is_phone(text):
        return text
    try:
        number = phonenumbers.parse(text, country or rules.default_country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_phone(text: str) -> bool:
    """Whether a text is a number in E.164 without a question: a parser of any writing takes 15 times as long."""
    if not _E164.fullmatch(text):
        return False
    for length in (1, 2, 3):
        national_prefix, lengths = _numbering_plan(int(text[1 : 1 + length]))
        if lengths:
            national = text[1 + length :]
            return len(national) in lengths and national[0] != "0" and not national_prefix.match(national)
    return False


@lru_cache(maxsize=1000)
def _numbering_plan(country_code: int) -> tuple[re.Pattern[str], frozenset[int]]:
    """What is dialled before a number within the country, and how many digits numbers have: none where there is no such code."""
    import phonenumbers

    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(country_code, ("ZZ",))[0]
    plan = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    if plan is None or plan.general_desc is None:
        return re.compile(""), frozenset()
    return re.compile(plan.national_prefix_for_parsing or r"(?!)"), frozenset(plan.general_desc.possible_length)


def name(text: str, rules: Ruleset) -> str | None:
    """Letters only, in small, without accents and particles (``Van der Moër`` and ``VAN DER MOER`` are ``moer``)."""
    words = _WORDS.findall(plain(text).replace("'", " "))
    if not words or " ".join(words) in rules.names.unknown_names:
        return None
    kept = [word for word in words if word not in rules.names.particle_names] or words
    joined = "".join(c for word in kept for c in word if c.isalpha())
    if not joined or joined in rules.names.unknown_names or joined in rules.names.particle_names:
        return joined if joined in rules.names.particle_names else None
    return joined


def street(text: str, rules: Ruleset) -> str | None:
    """Numbers first, then words, abbreviations written out (``Av. des Trois-Comètes, 5`` is ``5 avenue des trois cometes``)."""
    words = [rules.streets.abbreviations.get(word, word) for word in _WORDS.findall(plain(text))]
    numbers = [word for word in words if word[0].isdigit()]
    named = [word for word in words if not word[0].isdigit()]
    return " ".join([*numbers, *named]) if named else None


def postal_code(text: str, country: str | None, rules: Ruleset) -> str | None:
    """Letters and digits only; leading zeros put back where the country's codes are digits of one length."""
    where = country or rules.default_country
    written = _COUNTRY_PREFIX.sub("", unicodedata.normalize("NFKC", text).strip().upper())
    if where == "US":
        written = written.split("-")[0]
    code = "".join(c for c in written if c.isascii() and c.isalnum())
    digits = _POSTAL_DIGITS.get(where)
    if digits is not None and code.isdigit():
        code = code.zfill(digits)
    return code if code.strip("0") else None


def birth_date(day: date, rules: Ruleset) -> date | None:
    """The day, unless it is one that systems fill in."""
    return None if day in rules.unknown_birth_dates or day.year < 1900 else day


def loyalty_number(text: str, rules: Ruleset) -> str | None:
    """Letters and digits in capitals."""
    number = "".join(c for c in unicodedata.normalize("NFKC", text).upper() if c.isalnum())
    return number if number and number not in rules.blocked.loyalty_numbers else None


def is_blocked_email(address: str, rules: Ruleset) -> bool:
    """Whether a normalised address is nobody's own: a function, a shop, a test, a throw-away domain."""
    local, _, domain = address.rpartition("@")
    blocked = rules.blocked
    return local in blocked.email_names or domain in blocked.email_domains or address in blocked.emails


@lru_cache(maxsize=1)
def normalisers(rules: Ruleset) -> dict[str, Callable[[str, str | None], str | None]]:
    """The normaliser of each kind of value, (text, country) -> evidence or None; blocked keys are None."""

    def own_email(text: str, _: str | None) -> str | None:
        address = email(text, rules)
        return None if address is None or is_blocked_email(address, rules) else address

    def own_phone(text: str, country: str | None) -> str | None:
        number = phone(text, country, rules)
        return None if number in rules.blocked.phones else number

    return {
        "email": own_email,
        "phone": own_phone,
        "name": lambda text, _: name(text, rules),
        "street": lambda text, _: street(text, rules),
        "postal_code": lambda text, country: postal_code(text, country, rules),
        "loyalty_number": lambda text, _: loyalty_number(text, rules),
    }
