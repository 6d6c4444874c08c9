"""Reads the settings from the environment, `.env` and the secrets that development generated."""

import base64
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dotenv import dotenv_values

from infrastructure.token_cipher import EncryptionKey, InvalidEncryptionKey

PACKAGES = Path(__file__).parents[1]
IS_CHECKOUT = PACKAGES.name == "src" and (PACKAGES.parent / "pyproject.toml").is_file()
ROOT = PACKAGES.parent if IS_CHECKOUT else Path.cwd()
"""The folder of `.env` and `var/`: the checkout, or where there is none the current folder."""

LOCAL_URL = "http://127.0.0.1:8000"
"""The default of PUBLIC_URL: where `leadport serve` listens without options."""

CHOICES = {
    "LEADPORT_ENV": ("development", "production"),
    "STORAGE": ("postgres", "memory"),
    "INSIGHT_PROVIDER": ("dummy",),
    "LEADPORT_LANGUAGE": ("en", "es"),
}
"""Setting to its allowed values; the first one is the default."""

REQUIRED_IN_PRODUCTION = (
    ("DATABASE_URL",),
    ("META_WEBHOOK_VERIFY_TOKEN",),
    ("META_APP_SECRET",),
    ("AUTH_JWT_SECRET", "AUTH_JWKS_URL"),
    ("TOKEN_ENCRYPTION_KEYS",),
    ("PUBLIC_URL",),
)
"""Of each group one setting is required."""

DEVELOPMENT_SECRET_FACTORIES: dict[str, Callable[[], str]] = {
    "META_WEBHOOK_VERIFY_TOKEN": lambda: secrets.token_hex(16),
    "AUTH_JWT_SECRET": lambda: secrets.token_hex(32),
    "TOKEN_ENCRYPTION_KEYS": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "DEMO_PASSWORD": lambda: secrets.token_urlsafe(12),
}
DEFAULT_SPOOL_MEBIBYTES = "1024"
SPOOL_MEBIBYTES_PATTERN = re.compile(r"\d{1,7}(\.\d+)?", re.ASCII)
BYTES_PER_MEBIBYTE = 2**20

MIN_JWT_SECRET_CHARACTERS = 32
"""RFC 7518, section 3.2, requires that many bytes of a key for HS256."""


class SettingsError(Exception):
    """Settings are missing or invalid; the text names each of them."""


class CannotListen(Exception):
    """The server cannot listen on its address; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's choices. `.env.example` explains each setting."""

    is_production: bool
    database_url: str | None = field(repr=False)
    storage: str
    insight_provider: str
    language: str
    verify_token: str = field(repr=False)
    app_secrets: tuple[str, ...] = field(repr=False)
    jwt_secret: str | None = field(repr=False)
    jwks_url: str | None
    encryption_keys: tuple[EncryptionKey, ...]
    demo_password: str = field(repr=False)
    data_dir: Path
    spool_bytes: int
    public_url: str

    @property
    def spool_file(self) -> Path:
        """The file of the spool, which all processes with this data folder share."""
        return self.data_dir / "spool.sqlite3"

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings; `environ` replaces the process's environment.

        A variable of the environment wins over the same one in `.env`, and that over a generated
        secret. A value that holds only blanks and commas counts as missing. Development generates
        the secrets that are missing.

        Raises SettingsError that names every setting that is missing or invalid.
        """
        variables = _collect_variables(os.environ if environ is None else environ)
        is_production = variables["LEADPORT_ENV"] == "production"
        problems = [*_find_invalid_values(variables), *_find_weak_secrets(variables)]
        if is_production:
            problems += _find_production_problems(variables)
        if problems:
            raise SettingsError("; ".join(problems))
        data_dir = Path(ROOT, variables.get("LEADPORT_DATA_DIR", "var")).resolve()
        if not is_production:
            variables = {**_load_development_secrets(data_dir), **variables}
        spool_mebibytes = float(variables.get("LEADPORT_SPOOL_MB", DEFAULT_SPOOL_MEBIBYTES))
        return cls(
            is_production=is_production,
            database_url=_remove_sqlalchemy_driver(variables.get("DATABASE_URL")),
            storage=variables["STORAGE"],
            insight_provider=variables["INSIGHT_PROVIDER"],
            language=variables["LEADPORT_LANGUAGE"],
            verify_token=variables["META_WEBHOOK_VERIFY_TOKEN"],
            app_secrets=_split_at_commas(variables.get("META_APP_SECRET", "")),
            jwt_secret=variables.get("AUTH_JWT_SECRET"),
            jwks_url=variables.get("AUTH_JWKS_URL"),
            encryption_keys=tuple(
                map(EncryptionKey.read, _split_at_commas(variables["TOKEN_ENCRYPTION_KEYS"]))
            ),
            demo_password=variables.get("DEMO_PASSWORD", ""),
            data_dir=data_dir,
            spool_bytes=int(spool_mebibytes * BYTES_PER_MEBIBYTE),
            public_url=variables.get("PUBLIC_URL", LOCAL_URL).rstrip("/"),
        )


def export_for_workers(**variables: str) -> None:
    """Write variables into this process's environment, from where `Settings.read` takes them.

    `leadport serve` knows some values only after it has started something: the URL of the embedded
    database, the address that it listens on. Its worker processes are new interpreters that
    inherit nothing but the environment, so each of them reads the settings again; the containers
    of this process do the same. Call it before either is made (D50).
    """
    os.environ.update(variables)


def _collect_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Merge defaults, `.env` and the environment, without values that are blank or only commas."""
    defaults = {name: choices[0] for name, choices in CHOICES.items()}
    dotenv = {name: value or "" for name, value in dotenv_values(ROOT / ".env").items()}
    stripped = {name: value.strip() for name, value in {**dotenv, **environ}.items()}
    return {**defaults, **{name: value for name, value in stripped.items() if value.strip(", ")}}


def _find_invalid_values(variables: Mapping[str, str]) -> list[str]:
    problems = []
    spool_mebibytes = variables.get("LEADPORT_SPOOL_MB", DEFAULT_SPOOL_MEBIBYTES)
    if not SPOOL_MEBIBYTES_PATTERN.fullmatch(spool_mebibytes):
        problems.append(f"LEADPORT_SPOOL_MB must be a number, not {spool_mebibytes!r}")
    for name, choices in CHOICES.items():
        if variables[name] not in choices:
            problems.append(f"{name} must be {' or '.join(choices)}, not {variables[name]!r}")
    return problems


def _find_weak_secrets(variables: Mapping[str, str]) -> list[str]:
    """Describe the secrets that are too short or malformed, without showing them."""
    problems = []
    jwt_secret = variables.get("AUTH_JWT_SECRET")
    if jwt_secret is not None and len(jwt_secret) < MIN_JWT_SECRET_CHARACTERS:
        problems.append(f"AUTH_JWT_SECRET must have {MIN_JWT_SECRET_CHARACTERS} characters or more")
    for key in _split_at_commas(variables.get("TOKEN_ENCRYPTION_KEYS", "")):
        try:
            EncryptionKey.read(key)
        except InvalidEncryptionKey as error:
            problems.append(f"TOKEN_ENCRYPTION_KEYS: {error}")
    return problems


def _find_production_problems(variables: Mapping[str, str]) -> list[str]:
    missing = [
        " or ".join(names)
        for names in REQUIRED_IN_PRODUCTION
        if not any(name in variables for name in names)
    ]
    problems = [f"production needs {', '.join(missing)}"] if missing else []
    if variables["STORAGE"] == "memory":
        problems.append("production needs STORAGE=postgres")
    return problems


def _remove_sqlalchemy_driver(url: str | None) -> str | None:
    """Turn `postgresql+psycopg://…` into `postgresql://…`, the form that libpq accepts (D24)."""
    return re.sub(r"^postgres(?:ql)?\+\w+://", "postgresql://", url) if url else None


def _split_at_commas(value: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, value.split(",")) if part)


def _load_development_secrets(data_dir: Path) -> dict[str, str]:
    """Read `secrets.env` in the data folder, after generating the secrets that it lacks.

    Raises SettingsError where the folder or the file cannot be written.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "secrets.env", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            # When two processes start together, the second one reads what the first one wrote.
            fcntl.flock(file, fcntl.LOCK_EX)
            stored = {name: value for name, value in dotenv_values(stream=file).items() if value}
            for name, generate in DEVELOPMENT_SECRET_FACTORIES.items():
                if name not in stored:
                    stored[name] = generate()
                    file.write(f"{name}={stored[name]}\n")
    except OSError as error:
        msg = f"LEADPORT_DATA_DIR: cannot write to {data_dir}: {error.strerror}"
        raise SettingsError(msg) from error
    return stored
