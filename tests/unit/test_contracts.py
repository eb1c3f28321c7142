"""Contracts: the default ones are the mart's vocabulary, another retailer's map their headers to it."""

import re
from pathlib import Path
from typing import Any

import pytest

from orchestration.contracts import (
    DEFAULT_CONTRACTS_DIR,
    ContractError,
    default_contracts,
    load_contract,
    load_contracts,
)
from orchestration.sources.files import path_pattern
from tests.support.world import contract_document, properties, sales_contract, write_contract

TABLES = sorted(default_contracts())


def channels(folder: Path, *extra: dict[str, Any], leave_out: str = "", **options: Any) -> Path:
    """Another retailer's contract of ``channels``: two headers of its own and one expression."""
    columns = [
        {"name": "channel_id", "physicalName": "CODE", "primaryKey": True},
        {"name": "channel_name", "physicalName": "LABEL"},
        {"name": "is_direct", "customProperties": properties(expression="CODE <> 'M'")},
        {"name": "channel_type", "customProperties": properties(expression="'store'")},
        *extra,
    ]
    columns = list({c["name"]: c for c in columns}.values())
    options = {"path": "shops_{date}.csv", **options}
    document = contract_document("channels", [c for c in columns if c["name"] != leave_out], **options)
    return write_contract(folder, document)


def test_the_default_contracts_are_the_thirteen_tables_of_the_mart() -> None:
    assert set(default_contracts()) == {
        *("customers", "consents", "products", "channels", "exchange_rates", "orders", "order_lines", "returns"),
        *("web_events", "campaigns", "campaign_costs", "campaign_messages", "campaign_reactions"),
    }


@pytest.mark.parametrize("table", TABLES)
def test_a_default_contract_says_everything_the_law_and_the_reader_ask(table: str) -> None:
    contract = default_contracts()[table]
    assert contract.key
    assert contract.purpose
    assert contract.legal_basis
    assert re.fullmatch(r"P\d+[YMD]", contract.retention)
    assert all(c.description and c.classification for c in contract.columns)
    assert all(c.required for c in contract.columns if c.name in contract.key)


@pytest.mark.parametrize("table", TABLES)
def test_the_rules_of_a_default_contract_fit_into_a_bit_mask_and_have_names_of_their_own(table: str) -> None:
    names = [rule.name for rule in default_contracts()[table].rules]
    assert len(names) == len(set(names))
    assert len(names) < 62  # one bit each of a signed bigint, and one for malformed records


def test_customers_name_persons_and_orders_do_not() -> None:
    classes = {c.name: c.classification for c in default_contracts()["customers"].columns}
    assert classes["email"] == "direct_identifier"
    assert classes["customer_id"] == "pseudonymous"


def test_another_retailers_headers_and_expressions_take_the_marts_types(tmp_path: Path) -> None:
    channels(tmp_path)
    contract = load_contracts(tmp_path)["channels"]
    default = default_contracts()["channels"]
    assert [c.name for c in contract.columns] == [c.name for c in default.columns]
    assert [(c.sql_type, c.required) for c in contract.columns] == [(c.sql_type, c.required) for c in default.columns]
    by_name = {c.name: c for c in contract.columns}
    assert (by_name["channel_name"].header, by_name["channel_name"].expression) == ("LABEL", None)
    assert (by_name["channel_type"].header, by_name["channel_type"].expression) == (None, "'store'")
    assert contract.key == ("channel_id",)


def test_the_marts_allowed_values_hold_for_another_retailer_too(tmp_path: Path) -> None:
    channels(tmp_path)
    rule = next(r for r in load_contracts(tmp_path)["channels"].rules if r.name == "channel_type_allowed")
    assert rule == next(r for r in default_contracts()["channels"].rules if r.name == "channel_type_allowed")


def test_a_column_left_out_or_declared_so_is_not_captured_and_has_no_rule(tmp_path: Path) -> None:
    columns = [
        {"name": "customer_id", "physicalName": "id", "primaryKey": True},
        {"name": "source_system", "customProperties": properties(expression="'till'")},
        {"name": "email", "physicalName": "mail", "customProperties": properties(captured=False)},
    ]
    write_contract(tmp_path, contract_document("customers", columns, path="c_{date}.csv"))
    contract = load_contracts(tmp_path)["customers"]
    assert [c.name for c in contract.columns if c.captured] == ["customer_id", "source_system"]
    assert {"email", "phone", "city"} <= {c.name for c in contract.columns}
    assert {r.column for r in contract.rules if r.column} == {"customer_id", "source_system"}


def test_a_table_without_a_contract_is_one_that_the_retailer_does_not_have(tmp_path: Path) -> None:
    channels(tmp_path)
    assert list(load_contracts(tmp_path)) == ["channels"]


def test_an_unknown_table_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    write_contract(tmp_path, contract_document("customer", [{"name": "a", "physicalName": "a"}], path="a_{date}.csv"))
    with pytest.raises(ContractError, match=r"'customer' is no table of the mart\. Did you mean 'customers'\?"):
        load_contracts(tmp_path)


def test_an_unknown_column_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    channels(tmp_path, {"name": "chanel_name", "physicalName": "x"})
    with pytest.raises(ContractError, match=r"'chanel_name' is no column of channels\. Did you mean '\w+'\?"):
        load_contracts(tmp_path)


def test_a_required_column_left_out_is_refused_by_name(tmp_path: Path) -> None:
    file = channels(tmp_path, leave_out="channel_type")
    with pytest.raises(ContractError, match="channels needs channel_type: name the header") as error:
        load_contracts(tmp_path)
    assert str(error.value).startswith(str(file))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"server": {"format": "avro"}}, "format 'avro' is unknown; use one of csv, jsonl, parquet, xlsx"),
        ({"server": {"encoding": "cp-1252"}}, "encoding 'cp-1252' is not known"),
        ({"access": {"timezone": "Europe/Pari"}}, "timezone 'Europe/Pari' is no IANA time zone"),
        ({"access": {"compression": "zip"}}, "compression must be none or gzip"),
        ({"access": {"decimalSign": ";"}}, "decimalSign must be '.' or ','"),
        ({"deliveryMode": "weekly"}, "deliveryMode must be full, changes or append"),
        ({"path": "shops.csv"}, "give either {date} in the server's path or one deliveryDate"),
        ({"deliveryDate": "2024-01-01"}, "give either {date} in the server's path or one deliveryDate"),
        ({"path": "a.csv", "deliveryDate": "1 May"}, "deliveryDate '1 May' is no date"),
        ({"quality": [{"name": "q", "type": "sql", "query": "select 1"}]}, "rule 'q' must have type custom"),
    ],
)
def test_a_contract_that_cannot_be_used_says_what_to_change(
    tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    channels(tmp_path, **options)
    with pytest.raises(ContractError, match=re.escape(sentence)):
        load_contracts(tmp_path)


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ({"logicalType": "text", "physicalName": "c"}, "has logicalType 'text'; use one of string, integer"),
        ({"logicalType": "date", "physicalName": "c"}, "is a string in the mart, not a date"),
        (
            {"name": "channel_type", "physicalName": "c", "enum": [{"value": "kiosk"}]},
            "the mart knows no channel_type 'kiosk'",
        ),
        ({"physicalName": "c", "logicalTypeOptions": {"minLength": 3}}, "unknown logicalTypeOptions minLength"),
        ({"logicalType": "string"}, "names neither physicalName nor an expression"),
        (
            {"physicalName": "c", "customProperties": properties(severity="info")},
            "severity 'info'; use error or warning",
        ),
    ],
)
def test_a_column_that_cannot_be_used_says_what_to_change(
    tmp_path: Path, column: dict[str, Any], sentence: str
) -> None:
    channels(tmp_path, {"name": "channel_id", **column})
    with pytest.raises(ContractError, match=re.escape(sentence)):
        load_contracts(tmp_path)


def test_two_contracts_of_one_table_are_refused(tmp_path: Path) -> None:
    channels(tmp_path).rename(tmp_path / "a.yaml")
    channels(tmp_path)
    with pytest.raises(ContractError, match="channels already has a contract"):
        load_contracts(tmp_path)


def test_a_folder_without_contracts_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"no contract .* FIDELIS_CONTRACTS"):
        load_contracts(tmp_path)
    (tmp_path / "x.yaml").write_text("[not, a, contract")
    with pytest.raises(ContractError, match="is not an Open Data Contract"):
        load_contracts(tmp_path)


def test_bounds_lengths_and_patterns_become_rules_with_a_sentence(tmp_path: Path) -> None:
    options = {"minimum": 0, "exclusiveMaximum": 10}
    columns = [
        {
            "name": "k",
            "physicalName": "k",
            "logicalType": "string",
            "primaryKey": True,
            "logicalTypeOptions": {"maxLength": 3},
        },
        {"name": "n", "physicalName": "n", "logicalType": "integer", "logicalTypeOptions": options},
        {"name": "c", "physicalName": "c", "logicalType": "string", "logicalTypeOptions": {"pattern": "[A-Z]{3}"}},
    ]
    rules = {r.name: r for r in sales_contract(tmp_path, columns).rules}
    assert set(rules) == {"k_type", "k_length", "n_type", "n_minimum", "n_maximum", "c_type", "c_pattern"}
    assert rules["n_minimum"].sentence == "n must not be below 0"
    assert rules["n_maximum"].sentence == "n must be below 10"


@pytest.mark.parametrize(
    ("path", "name", "day"),
    [
        ("orders_{date}.csv", "orders_2024-03-01.csv", "2024-03-01"),
        ("orders_{date:%Y%m%d}.csv", "orders_20240301.csv", "20240301"),
        ("*/orders_{date:%d.%m.%y}_*.csv.gz", "shop/orders_01.03.24_part1.csv.gz", "01.03.24"),
        ("orders/{date:%Y/%m/%d}/part-*.csv", "orders/2024/03/01/part-7.csv", "2024/03/01"),
        ("orders/{date}/orders_{date}.csv", "orders/2024-03-01/orders_2024-03-01.csv", "2024-03-01"),
        ("orders (all)+_{date}.csv", "orders (all)+_2024-03-01.csv", "2024-03-01"),
    ],
)
def test_a_path_pattern_finds_the_file_and_its_day(tmp_path: Path, path: str, name: str, day: str) -> None:
    glob, pattern, _ = path_pattern(load_contract(channels(tmp_path / "c", path=path), default_contracts()["channels"]))
    assert pattern is not None
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert list(tmp_path.glob(glob)) == [file]
    match = pattern.match(name)
    assert match is not None
    assert match["date"] == day
    assert pattern.match(name + ".tmp") is None


def test_the_default_folder_named_as_a_setting_gives_the_default_contracts() -> None:
    assert load_contracts(DEFAULT_CONTRACTS_DIR) == default_contracts()
