"""All settings of Fidelis: the only module that reads the environment.

Each setting is a variable ``FIDELIS_<NAME>`` (or a line of ``.env``); ``.env.example`` lists them all.
"""

import os
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parent.parent
DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
DEFAULT_CONTRACTS_DIR = PROJECT_DIR / "contracts"


def _half_of_the_machine() -> str:
    """Memory for DuckDB, at most 8 GB; Python, pandas and the system need about 1 GB of the rest."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{min(8000, installed // 2_000_000)}MB"


class Access(BaseModel):
    """User and password (key id and secret, for S3) of one server; SFTP also takes the file of a private key."""

    user: str = ""
    password: SecretStr = SecretStr("")
    key: Path | None = None


class Settings(BaseSettings):
    """The settings of one retailer; relative paths are taken from the project's folder."""

    model_config = SettingsConfigDict(
        env_prefix="FIDELIS_",
        env_file=PROJECT_DIR / ".env",
        extra="ignore",
        env_ignore_empty=True,
        env_nested_delimiter="__",
    )

    home: Path = Path(".fidelis")
    cache: Path = Path(".fidelis_cache")
    contracts: Path = DEFAULT_CONTRACTS_DIR
    landing: Path | None = None
    first_day: date = date(2023, 1, 1)
    timezone: str = "Europe/Paris"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    releases_kept: Annotated[int, Field(ge=2)] = 14
    threads: Annotated[int, Field(ge=1)] = 2
    memory: Annotated[str, Field(pattern="^[0-9.]+ ?[KMGT]i?B$", default_factory=_half_of_the_machine)]
    dbt_threads: Annotated[int, Field(ge=1)] = 2
    ltv_discount_rate: Annotated[float, Field(ge=0, lt=1)] = 0.10
    ltv_value_unit: Literal["margin", "net"] = "margin"
    lift_adjusted: bool = False
    control_salt: str = "fidelis"
    holdout_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    alert_url: str = ""
    identity_rules: Path | None = None
    audiences: Path | None = None
    s3_key_id: str = ""
    s3_secret: SecretStr = SecretStr("")
    s3_region: str = ""
    s3_endpoint: str = ""
    pg_user: str = ""
    pg_password: SecretStr = SecretStr("")
    http_user: str = ""
    http_password: SecretStr = SecretStr("")
    sftp_user: str = ""
    sftp_password: SecretStr = SecretStr("")
    sftp_key: Path | None = None
    servers: dict[str, Access] = Field(default_factory=dict)

    @field_validator("home", "cache", "contracts", "landing", "identity_rules", "audiences", "sftp_key")
    @classmethod
    def _from_project(cls, value: Path | None) -> Path | None:
        return None if value is None else (PROJECT_DIR / value.expanduser()).resolve()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"'{value}' is no IANA time zone; write it like Europe/Paris")
        return value

    @cached_property
    def zone(self) -> ZoneInfo:
        """The business time zone."""
        return ZoneInfo(self.timezone)

    def access(self, server: str, kind: Literal["s3", "pg", "http", "sftp"]) -> Access:
        """What opens a server: its own entry in ``servers``, else the setting for all servers of its kind."""
        own = self.servers.get(server.lower().replace("-", "_"))
        if own is not None:
            return own
        if kind == "s3":
            return Access(user=self.s3_key_id, password=self.s3_secret)
        if kind == "pg":
            return Access(user=self.pg_user, password=self.pg_password)
        if kind == "sftp":
            return Access(user=self.sftp_user, password=self.sftp_password, key=self.sftp_key)
        return Access(user=self.http_user, password=self.http_password)

    @property
    def landing_dir(self) -> Path:
        """Where deliveries arrive."""
        return self.landing or self.home / "landing"

    @property
    def raw_dir(self) -> Path:
        """Accepted rows: Parquet per table and delivery day."""
        return self.home / "raw"

    @property
    def quarantine_dir(self) -> Path:
        """Rejected rows with their rule, key, file and line. Holds personal data."""
        return self.home / "quarantine"

    @property
    def identity_dir(self) -> Path:
        """The unique customer repository: manual decisions, the registry, weights. Holds personal data."""
        return self.home / "identity"

    @property
    def assignments_dir(self) -> Path:
        """Who is treated and who is held back, a file per campaign."""
        return self.home / "assignments"

    @property
    def activation_dir(self) -> Path:
        """Audiences as they were exported, a folder each. Holds personal data."""
        return self.home / "activation"

    @property
    def erasures_file(self) -> Path:
        """Persons who asked to be erased: they are in no audience."""
        return self.home / "privacy" / "erasures.csv"

    @property
    def warehouse_dir(self) -> Path:
        """The private build database and the marts under construction."""
        return self.home / "warehouse"

    @property
    def releases_dir(self) -> Path:
        """Published releases; ``current`` links to the one that BI tools read."""
        return self.home / "releases"

    @property
    def dagster_dir(self) -> Path:
        """DAGSTER_HOME: runs, events, schedules."""
        return self.home / "dagster"

    @property
    def dbt_target_dir(self) -> Path:
        """dbt's target folder: its logs and what it ran."""
        return self.home / "dbt"

    @property
    def data_docs_dir(self) -> Path:
        """Great Expectations' Data Docs of the latest gates."""
        return self.home / "data_docs"

    def export(self) -> None:
        """Hand the settings that Dagster and dbt read from the environment over to them."""
        os.environ.update(
            DAGSTER_HOME=str(self.dagster_dir),
            FIDELIS_EVENT_LOG_DIR=str(self.dagster_dir / "history" / "runs"),
            FIDELIS_WAREHOUSE_DIR=str(self.warehouse_dir),
            FIDELIS_THREADS=str(self.threads),
            FIDELIS_MEMORY=self.memory,
            FIDELIS_DBT_THREADS=str(self.dbt_threads),
            DBT_INDIRECT_SELECTION="cautious",
            DBT_SEND_ANONYMOUS_USAGE_STATS="false",
            DAGSTER_DISABLE_TELEMETRY="yes",
            GX_ANALYTICS_ENABLED="false",
            TQDM_DISABLE="1",
        )


def load_settings() -> Settings:
    """The settings of this process, from the environment and ``.env``."""
    return Settings()
