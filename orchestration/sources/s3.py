"""Files in S3-compatible storage: listed, fetched whole, checked against size and ETag."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from orchestration.contracts import Contract
from orchestration.settings import Settings
from orchestration.sources.files import DeliveredFile, DeliveryError, SourceError, day_of, local_copy, path_pattern

_REFUSED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InvalidToken", "401", "403"}


def client(settings: Settings, server: str, endpoint: str | None) -> Any:
    """A client of the storage that the setting for ``server`` opens; ``endpoint`` is its URL, where it is not Amazon's."""
    import boto3
    from botocore.config import Config

    access = settings.access(server, "s3")
    endpoint = endpoint or settings.s3_endpoint or None
    # storage other than Amazon's seldom has a domain per bucket
    style = {"addressing_style": "path"} if endpoint else {}
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.s3_region or ("us-east-1" if endpoint else None),
        aws_access_key_id=access.user or None,
        aws_secret_access_key=access.password.get_secret_value() or None,
        config=Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60, s3=style),
    )


def explained(bucket: str, named_in: str, error: Exception) -> SourceError:
    """What an error of the client means to the person who has to act; the client's own text holds no secret."""
    from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError

    place = f"s3://{bucket}"
    variables = "FIDELIS_S3_KEY_ID and FIDELIS_S3_SECRET"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return SourceError(f"{place}: there is no access key; set {variables}")
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        if code in _REFUSED:
            return SourceError(f"{place}: the access key is refused ({code}); check {variables} and its rights")
        if code == "NoSuchBucket":
            return SourceError(f"{place}: there is no such bucket; {named_in} names it")
        return SourceError(f"{place}: {code}: {' '.join(str(error).split())}")
    return SourceError(f"{place} cannot be reached: {' '.join(str(error).split())}")


def discover(settings: Settings, contract: Contract) -> dict[date, tuple[DeliveredFile, ...]]:
    """All delivered objects of a table by delivery day, in name order."""
    from botocore.exceptions import BotoCoreError, ClientError

    glob, pattern, _ = path_pattern(contract)
    expression = re.compile(re.escape(glob).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "$")
    prefix = re.split(r"[*?]", glob)[0]
    found: dict[date, list[DeliveredFile]] = {}
    try:
        pages = client(settings, contract.server.name, contract.server.endpoint).get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=contract.server.bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                day = day_of(contract, item["Key"]) if pattern or expression.match(item["Key"]) else None
                if day is not None:
                    name = f"s3://{contract.server.bucket}/{item['Key']}"
                    version = item["ETag"].strip('"')
                    found.setdefault(day, []).append(DeliveredFile(day, Path(), name, item["Size"], 0, version))
    except (BotoCoreError, ClientError, ValueError) as error:
        raise explained(contract.server.bucket, contract.file.name, error) from None
    return {day: tuple(sorted(files, key=lambda f: f.name)) for day, files in sorted(found.items())}


def fetch(
    settings: Settings, contract: Contract, files: Sequence[DeliveredFile], folder: Path
) -> tuple[DeliveredFile, ...]:
    """Fetch objects as they were listed. Raises DeliveryError for one that is not what the list said."""
    from boto3.exceptions import Boto3Error
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import BotoCoreError, ClientError

    storage, local = client(settings, contract.server.name, contract.server.endpoint), []
    for file in files:
        path = local_copy(folder, file.name)
        key = file.name.removeprefix(f"s3://{contract.server.bucket}/")
        try:
            head = storage.head_object(Bucket=contract.server.bucket, Key=key)
            if head["ETag"].strip('"') != file.version:
                raise DeliveryError(f"{file.name} was replaced while it was being loaded; the next run takes it")
            storage.download_file(contract.server.bucket, key, str(path), Config=TransferConfig(max_concurrency=2))
        except (BotoCoreError, ClientError, Boto3Error) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
                raise DeliveryError(f"{file.name} was removed while it was being loaded") from None
            raise explained(contract.server.bucket, contract.file.name, error) from None
        _check(file, path, head)
        local.append(replace(file, path=path))
    return tuple(local)


def _check(file: DeliveredFile, path: Path, head: dict[str, Any]) -> None:
    """Size, and the content where the ETag is its MD5: one part, not encrypted with a key of the customer."""
    if path.stat().st_size != file.size:
        raise DeliveryError(f"{file.name} has {path.stat().st_size:,} bytes, not the {file.size:,} that were listed")
    is_digest = re.fullmatch("[0-9a-f]{32}", file.version) and head.get("ServerSideEncryption") in (None, "AES256")
    if not is_digest or head.get("SSECustomerAlgorithm"):
        return
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != file.version:
        raise DeliveryError(f"{file.name} arrived damaged: its MD5 is {digest}, its ETag {file.version}")
