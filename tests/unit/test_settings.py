"""What `Settings.read` accepts, refuses and generates."""

import os
from pathlib import Path

import pytest

from leadport.settings import Settings, SettingsError, export_for_workers

PRODUCTION = {
    "LEADPORT_ENV": "production",
    "DATABASE_URL": "postgresql+psycopg://db.example/leadport",
    "META_WEBHOOK_VERIFY_TOKEN": "the token",
    "META_APP_SECRET": " one , two ,",
    "AUTH_JWT_SECRET": "x" * 32,
    "TOKEN_ENCRYPTION_KEYS": "A" * 43,
    "PUBLIC_URL": "https://leads.example/",
}


def test_production_reads_its_settings() -> None:
    settings = Settings.read(PRODUCTION)

    assert settings.is_production
    assert settings.database_url == "postgresql://db.example/leadport"
    assert settings.app_secrets == ("one", "two")
    assert settings.public_url == "https://leads.example"
    assert (settings.storage, settings.insight_provider) == ("postgres", "dummy")


@pytest.mark.parametrize("missing", sorted(PRODUCTION.keys() - {"LEADPORT_ENV"}))
def test_production_names_a_missing_setting(missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        Settings.read({**PRODUCTION, missing: " "})


@pytest.mark.parametrize("name", ["META_APP_SECRET", "TOKEN_ENCRYPTION_KEYS"])
def test_list_of_nothing_but_commas_is_missing(name: str) -> None:
    with pytest.raises(SettingsError, match=f"production needs {name}"):
        Settings.read({**PRODUCTION, name: " , ,"})


def test_key_set_replaces_jwt_secret() -> None:
    keys = {"AUTH_JWT_SECRET": "", "AUTH_JWKS_URL": "https://id.example/jwks.json"}
    assert Settings.read({**PRODUCTION, **keys}).is_production


def test_production_refuses_memory_storage() -> None:
    with pytest.raises(SettingsError, match="production needs STORAGE=postgres"):
        Settings.read({**PRODUCTION, "STORAGE": "memory"})


def test_development_generates_its_secrets_once(tmp_path: Path) -> None:
    environ = {"LEADPORT_DATA_DIR": str(tmp_path / "var")}

    first, second = Settings.read(environ), Settings.read(environ)

    assert first == second
    assert len(first.verify_token) == 32
    assert len(first.demo_password) == 16
    assert len(first.encryption_keys) == 1
    secrets = tmp_path / "var/secrets.env"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert list(secrets.parent.iterdir()) == [secrets]


def test_environment_wins_over_generated_secret(tmp_path: Path) -> None:
    environ = {"LEADPORT_DATA_DIR": str(tmp_path), "META_WEBHOOK_VERIFY_TOKEN": "chosen"}
    assert Settings.read(environ).verify_token == "chosen"


def test_unknown_choice_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(SettingsError, match="LEADPORT_ENV must be development or production"):
        Settings.read({"LEADPORT_ENV": "staging"})


def test_repr_hides_secrets() -> None:
    shown = repr(Settings.read(PRODUCTION))

    for secret in ("the token", "one", "two", "db.example"):
        assert f"'{secret}" not in shown


def test_env_example_lists_the_settings() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text()

    for name in PRODUCTION.keys() | {"STORAGE", "INSIGHT_PROVIDER", "LEADPORT_DATA_DIR"}:
        assert f"\n#{name}=" in example or f"\n{name}=" in example


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("AUTH_JWT_SECRET", "short", "AUTH_JWT_SECRET must have 32 characters or more"),
        ("TOKEN_ENCRYPTION_KEYS", "%", "TOKEN_ENCRYPTION_KEYS: a key must be"),
        ("TOKEN_ENCRYPTION_KEYS", "AAAA", "32 bytes in base64, not 3"),
    ],
)
def test_weak_secret_is_refused_without_showing_it(name: str, value: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as raised:
        Settings.read({**PRODUCTION, name: value})
    assert value not in str(raised.value)


def test_development_generates_only_missing_secrets(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("META_WEBHOOK_VERIFY_TOKEN=old\n")

    settings = Settings.read({"LEADPORT_DATA_DIR": str(tmp_path)})

    assert settings.verify_token == "old"
    assert settings == Settings.read({"LEADPORT_DATA_DIR": str(tmp_path)})


def test_exported_variable_is_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {"LEADPORT_DATA_DIR": str(tmp_path)})

    export_for_workers(DATABASE_URL="postgresql://db.example/leadport")

    assert Settings.read().database_url == "postgresql://db.example/leadport"
