"""Stands for dbt's own macros while sqlfluff renders a model; add here what a model newly uses."""


def type_string() -> str:
    """The type of a text column."""
    return "varchar"
