"""Settings, read once: the environment, then `.env`, then what development made for itself."""

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

CHECKOUT = Path(__file__).parents[2]
ROOT = CHECKOUT if (CHECKOUT / "pyproject.toml").is_file() else Path.cwd()
"""The folder of `.env` and `var/`: the checkout, or where there is none the current folder."""

LOCAL_URL = "http://127.0.0.1:8000"

CHOICES = {
    "LEADPORT_ENV": ("development", "production"),
    "STORAGE": ("postgres", "memory"),
    "INSIGHT_PROVIDER": ("dummy",),
    "LEADPORT_LANGUAGE": ("en", "es"),
}
REQUIRED_IN_PRODUCTION = (
    ("DATABASE_URL",),
    ("META_WEBHOOK_VERIFY_TOKEN",),
    ("META_APP_SECRET",),
    ("AUTH_JWT_SECRET", "AUTH_JWKS_URL"),
    ("TOKEN_ENCRYPTION_KEYS",),
    ("PUBLIC_URL",),
)
MADE_IN_DEVELOPMENT: dict[str, Callable[[], str]] = {
    "META_WEBHOOK_VERIFY_TOKEN": lambda: secrets.token_hex(16),
    "AUTH_JWT_SECRET": lambda: secrets.token_hex(32),
    "TOKEN_ENCRYPTION_KEYS": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "DEMO_PASSWORD": lambda: secrets.token_urlsafe(12),
}
SPOOL_MB = "1024"
NUMBER = re.compile(r"\d{1,7}(\.\d+)?", re.ASCII)
SHORTEST_SECRET = 32
"""Characters; RFC 7518 asks as many bytes of an HS256 key."""


class SettingsError(Exception):
    """Settings are missing or wrong; the text names every one of them."""


class CannotListen(Exception):
    """The address cannot be served on; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decides. `.env.example` explains each."""

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
        """Where deliveries wait for the database; all processes of a data folder share it."""
        return self.data_dir / "spool.sqlite3"

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read them. Raises SettingsError that names all that is missing or wrong."""
        dotenv = {k: v for k, v in dotenv_values(ROOT / ".env").items() if v is not None}
        given = {
            k: v.strip() for k, v in {**dotenv, **(environ or os.environ)}.items() if v.strip()
        }
        given = {**{name: choices[0] for name, choices in CHOICES.items()}, **given}
        is_production = given["LEADPORT_ENV"] == "production"
        missing = _missing(given) if is_production else []
        if problems := [*_wrong(given), *_wrong_secrets(given), *missing]:
            raise SettingsError("; ".join(problems))
        data_dir = Path(ROOT, given.get("LEADPORT_DATA_DIR", "var")).resolve()
        if not is_production:
            given = {**_made_secrets(data_dir), **given}
        return cls(
            is_production=is_production,
            database_url=_libpq(given.get("DATABASE_URL")),
            storage=given["STORAGE"],
            insight_provider=given["INSIGHT_PROVIDER"],
            language=given["LEADPORT_LANGUAGE"],
            verify_token=given["META_WEBHOOK_VERIFY_TOKEN"],
            app_secrets=_several(given.get("META_APP_SECRET", "")),
            jwt_secret=given.get("AUTH_JWT_SECRET"),
            jwks_url=given.get("AUTH_JWKS_URL"),
            encryption_keys=tuple(
                map(EncryptionKey.read, _several(given["TOKEN_ENCRYPTION_KEYS"]))
            ),
            demo_password=given.get("DEMO_PASSWORD", ""),
            data_dir=data_dir,
            spool_bytes=int(float(given.get("LEADPORT_SPOOL_MB", SPOOL_MB)) * 2**20),
            public_url=given.get("PUBLIC_URL", LOCAL_URL).rstrip("/"),
        )


def _wrong(given: Mapping[str, str]) -> list[str]:
    size = given.get("LEADPORT_SPOOL_MB", SPOOL_MB)
    numbers = (
        [] if NUMBER.fullmatch(size) else [f"LEADPORT_SPOOL_MB must be a number, not {size!r}"]
    )
    return numbers + [
        f"{name} must be {' or '.join(choices)}, not {given[name]!r}"
        for name, choices in CHOICES.items()
        if given[name] not in choices
    ]


def _wrong_secrets(given: Mapping[str, str]) -> list[str]:
    problems = []
    if len(given.get("AUTH_JWT_SECRET", "x" * SHORTEST_SECRET)) < SHORTEST_SECRET:
        problems.append(f"AUTH_JWT_SECRET must have {SHORTEST_SECRET} characters or more")
    for key in _several(given.get("TOKEN_ENCRYPTION_KEYS", "")):
        try:
            EncryptionKey.read(key)
        except InvalidEncryptionKey as error:
            problems.append(f"TOKEN_ENCRYPTION_KEYS: {error}")
    return problems


def _missing(given: Mapping[str, str]) -> list[str]:
    missing = [
        " or ".join(names)
        for names in REQUIRED_IN_PRODUCTION
        if not any(given.get(name) for name in names)
    ]
    problems = [f"production needs {', '.join(missing)}"] if missing else []
    if given["STORAGE"] == "memory":
        problems.append("production needs STORAGE=postgres")
    return problems


def _libpq(url: str | None) -> str | None:
    """The URL without SQLAlchemy's driver in it (`postgresql+psycopg://`), which libpq refuses."""
    return re.sub(r"^postgres(?:ql)?\+\w+://", "postgresql://", url) if url else None


def _several(value: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, value.split(",")) if part)


def _made_secrets(data_dir: Path) -> dict[str, str]:
    """Secrets that development needs and nobody has to choose, made once."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(data_dir / "secrets.env", os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            # Of two processes that start together, the second one reads what the first one made.
            fcntl.flock(file, fcntl.LOCK_EX)
            made = {name: value for name, value in dotenv_values(stream=file).items() if value}
            for name, make in MADE_IN_DEVELOPMENT.items():
                if name not in made:
                    made[name] = make()
                    file.write(f"{name}={made[name]}\n")
    except OSError as error:
        msg = f"LEADPORT_DATA_DIR: cannot keep anything in {data_dir}: {error.strerror}"
        raise SettingsError(msg) from error
    return made
