"""Contact keys, the only columns that name a person: joined here, from the restricted file, in the form that each medium takes.

Hashed forms follow what the platforms publish. Both hash UTF-8 with SHA-256 and write small hexadecimal digits. E-mail: without
spaces around it, in small letters; Google besides without the dots before the @ of gmail.com and googlemail.com. Telephone: Google
E.164 with its plus, Meta the same digits without it.
"""

from typing import Literal

import duckdb

from orchestration.identity import load_rules, phone_number
from orchestration.settings import Settings

_EMAIL = r"regexp_replace(lower(email), '^\s+|\s+$', '', 'g')"
_IS_EMAIL = rf"regexp_full_match({_EMAIL}, '[^\s@]+@[^\s@]+\.[^\s@]+')"
#: Digits at the end of a telephone number, the same however it is written.
_TAIL = r"right(regexp_replace(phone, '\D', '', 'g'), 7)"
_SAME = "on phones.written = customer_contact.phone and phones.country is not distinct from customer_contact.country"


def email_form(column: str, platform: Literal["google", "meta"]) -> str:
    """SQL of an address, spaces and capitals gone, as a platform wants it before it is hashed."""
    if platform == "meta":
        return column
    at_google = f"regexp_matches({column}, '@(gmail|googlemail)\\.com$')"
    bare = f"replace(split_part({column}, '@', 1), '.', '') || '@' || split_part({column}, '@', 2)"
    return f"case when {at_google} then {bare} else {column} end"


def phone_form(column: str, platform: Literal["google", "meta"]) -> str:
    """SQL of a number in E.164 as a platform wants it before it is hashed."""
    return column if platform == "google" else f"ltrim({column}, '+')"


def join_contacts(
    settings: Settings,
    con: duckdb.DuckDBPyConnection,
    medium: str,
    platform: Literal["google", "meta"] | None,
) -> None:
    """Make the tables ``contacts`` (customer_id, account_id and the medium's columns) and ``contact_keys`` (customer_id, key).

    ``con`` has the restricted file attached as ``personal`` and ``chosen`` (customer_id). A customer without what the medium
    needs has no row; ``account_id`` is the account that the contact is from. Telephone numbers are brought into one form only where
    they may be those of somebody chosen.
    """
    phones = medium in ("sms", "ads")
    _write_phones(settings, con, read=phones)
    own = "(select min(source_id) from accounts where accounts.customer_id = c.customer_id)"
    forms = {
        "email": f"select customer_id, email_source as account_id, {_EMAIL} as email "
        f"from personal.restricted.customer_contact where {_IS_EMAIL}",
        "sms": "select customer_id, phone_source as account_id, e164 as phone from personal.restricted.customer_contact "
        f"inner join phones {_SAME}",
        "mail": "select customer_id, street_source as account_id, first_name, last_name, street, postal_code, city, country "
        "from personal.restricted.customer_contact where last_name is not null and street is not null and postal_code is not null",
        "push": f"select customer_id, {own} as account_id from personal.restricted.customer_contact as c",
        "ads": f"select customer_id, coalesce(if({_IS_EMAIL}, email_source, null), phone_source) as account_id, "
        f"if({_IS_EMAIL}, sha256({email_form(_EMAIL, platform or 'google')}), null) as email_sha256, "
        f"sha256({phone_form('e164', platform or 'google')}) as phone_sha256 "
        f"from personal.restricted.customer_contact left join phones {_SAME} where {_IS_EMAIL} or e164 is not null",
    }
    keys = {
        "email": ("email",),
        "sms": ("phone",),
        "mail": ("lower(concat_ws('|', first_name, last_name, street, postal_code, city))",),
        "push": (),
        "ads": ("email_sha256", "phone_sha256"),
    }[medium]
    con.execute(
        "create or replace temp table accounts as select customer_id, source_id from personal.restricted.customer_identity "
        "where record_kind = 'account' and until_revision is null and valid_to = date '9999-12-31'"
    )
    con.execute(f"create or replace temp table contacts as {forms[medium]}")
    rows = [
        f"select customer_id, {key} as key, {rank} as rank from contacts where {key} is not null"
        for rank, key in enumerate(keys)
    ]
    nobody = "select customer_id, cast(null as varchar) as key, 0 as rank from contacts where false"
    con.execute(f"create or replace temp table contact_keys as {' union all '.join(rows) or nobody}")


def _write_phones(settings: Settings, con: duckdb.DuckDBPyConnection, *, read: bool) -> None:
    """The table ``phones`` (written, country, e164): each distinct number that is, or may be, somebody's who is chosen."""
    found: list[tuple[str, str | None]] = []
    if read:
        contact = "personal.restricted.customer_contact"
        found = con.execute(
            f"with tails as (select distinct {_TAIL} as tail from {contact} semi join chosen using (customer_id)) "
            f"select distinct phone, country from {contact} where {_TAIL} in (select tail from tails)"
        ).fetchall()
    rules = load_rules(settings)
    spelt = [(phone, country, phone_number(phone, country, rules)) for phone, country in found]
    usable = [row for row in spelt if row[2] is not None]
    con.execute("create or replace temp table phones (written varchar, country varchar, e164 varchar)")
    if usable:
        con.execute(
            "insert into phones select unnest($1), unnest($2), unnest($3)", [list(c) for c in zip(*usable, strict=True)]
        )
