"""Where exports go: a folder, S3-compatible storage, an SFTP server. The manifest goes last, so what has one is whole."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from orchestration.activation.audience import Audience, ExportError, FolderDestination, S3Destination, SftpDestination
from orchestration.raw_zone import sync
from orchestration.settings import Settings
from orchestration.sources import s3

MANIFEST = "manifest.json"


def deliver(settings: Settings, audience: Audience, export: Path, names: list[str]) -> None:
    """Bring the named files of an export, the manifest last, to its destination; again over what is there. Raises ExportError."""
    to, below = audience.destination, PurePosixPath(audience.name, export.name)
    if isinstance(to, FolderDestination):
        _to_folder(to, below, export, names)
    elif isinstance(to, S3Destination):
        with _storage(settings, audience, to) as storage:
            for name in (*names, MANIFEST):
                storage.upload_file(str(export / name), to.bucket, _key(to, below / name))
    elif isinstance(to, SftpDestination):
        with _sftp(settings, audience, to) as client:
            _put(client, PurePosixPath(to.folder) / below, export, names)


def is_there(settings: Settings, audience: Audience, export: Path) -> bool:
    """Whether the destination has this very export, manifest included. An export without a destination is where it lies."""
    to, below = audience.destination, PurePosixPath(audience.name, export.name) / MANIFEST
    expected = (export / MANIFEST).read_bytes()
    if isinstance(to, FolderDestination):
        file = to.path / below
        return file.exists() and file.read_bytes() == expected
    if isinstance(to, S3Destination):
        with _storage(settings, audience, to) as storage:
            found = storage.list_objects_v2(Bucket=to.bucket, Prefix=_key(to, below)).get("Contents", [])
            if not any(item["Key"] == _key(to, below) for item in found):
                return False
            return bool(storage.get_object(Bucket=to.bucket, Key=_key(to, below))["Body"].read() == expected)
    if isinstance(to, SftpDestination):
        with _sftp(settings, audience, to) as client:
            content = io.BytesIO()
            try:
                client.getfo(str(PurePosixPath(to.folder) / below), content)
            except FileNotFoundError:
                return False
            return content.getvalue() == expected
    return True


def discard(settings: Settings, audience: Audience, export: Path) -> None:
    """Remove what a killed run left at the destination of an export that has no manifest there."""
    to, below = audience.destination, PurePosixPath(audience.name, export.name)
    names = [file.name for file in export.iterdir()]
    if isinstance(to, FolderDestination):
        shutil.rmtree(_aside(to, below), ignore_errors=True)
    elif isinstance(to, S3Destination):
        with _storage(settings, audience, to) as storage:
            storage.delete_objects(
                Bucket=to.bucket, Delete={"Objects": [{"Key": _key(to, below / name)} for name in names]}
            )
    elif isinstance(to, SftpDestination):
        folder = PurePosixPath(to.folder) / below
        with _sftp(settings, audience, to) as client:
            for name in names:
                for path in (folder / name, folder / f"{name}.part"):
                    with suppress(OSError):  # it is not there, or the receiver lets nobody remove files
                        client.remove(str(path))
            with suppress(OSError):
                client.rmdir(str(folder))


def _aside(to: FolderDestination, below: PurePosixPath) -> Path:
    return to.path / below.with_name(f"{below.name}.part")


def _to_folder(to: FolderDestination, below: PurePosixPath, export: Path, names: list[str]) -> None:
    target = to.path / below
    aside = _aside(to, below)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        for name in (*names, MANIFEST):
            shutil.copyfile(export / name, aside / name)
            sync(aside / name)
        sync(aside)
        if target.exists():  # another attempt, whose end nobody took note of
            shutil.rmtree(target)
        aside.rename(target)
        sync(target.parent)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}") from error


def _key(to: S3Destination, below: PurePosixPath) -> str:
    return str(PurePosixPath(to.prefix) / below).lstrip("/")


@contextmanager
def _storage(settings: Settings, audience: Audience, to: S3Destination) -> Iterator[Any]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3.client(settings, to.server, to.endpoint)
    try:
        yield client
    except (BotoCoreError, ClientError, Boto3Error) as error:
        cause = error.__context__ if isinstance(error, Boto3Error) and error.__context__ else error
        raise ExportError(str(s3.explained(to.bucket, audience.file.name, cause))) from None
    finally:
        client.close()


@contextmanager
def _sftp(settings: Settings, audience: Audience, to: SftpDestination) -> Iterator[Any]:
    """An open SFTP session with the server that has the declared key."""
    import paramiko

    access = settings.access(to.server, "sftp")
    if not access.user:
        raise ExportError(
            f"sftp://{to.host}: there is no user; set FIDELIS_SFTP_USER and FIDELIS_SFTP_PASSWORD or FIDELIS_SFTP_KEY"
        )
    kind, key = to.host_key.split(" ", 1)
    client = paramiko.SSHClient()
    # a server whose key is not the declared one is refused before a password is sent
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    name = to.host if to.port == 22 else f"[{to.host}]:{to.port}"
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{name} {kind} {key}")
        if entry is None or entry.key is None:
            raise ExportError(f"{audience.file.name}: host_key is of no kind that is known; write it as in known_hosts")
        client.get_host_keys().add(name, kind, entry.key)
        client.connect(
            to.host,
            port=to.port,
            username=access.user,
            password=access.password.get_secret_value() or None,
            key_filename=str(access.key) if access.key else None,
            allow_agent=False,
            look_for_keys=False,
            timeout=20,
            banner_timeout=20,
            auth_timeout=20,
        )
        yield client.open_sftp()
    except paramiko.BadHostKeyException:
        raise ExportError(
            f"sftp://{to.host}: the server has another key than host_key says; nothing was sent"
        ) from None
    except paramiko.AuthenticationException:
        raise ExportError(
            f"sftp://{to.host}: user and password or key are refused; check FIDELIS_SFTP_USER, FIDELIS_SFTP_PASSWORD, FIDELIS_SFTP_KEY"
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise ExportError(f"sftp://{to.host}: {' '.join(str(error).split()) or type(error).__name__}") from None
    finally:
        client.close()


def _put(client: Any, folder: PurePosixPath, export: Path, names: list[str]) -> None:
    """Each file under another name first, whole, then renamed."""
    for parent in reversed((folder, *folder.parents)):
        try:
            client.stat(str(parent))
        except FileNotFoundError:
            client.mkdir(str(parent))
    for name in (*names, MANIFEST):
        aside = str(folder / f"{name}.part")
        client.put(str(export / name), aside, confirm=True)
        client.posix_rename(aside, str(folder / name))
