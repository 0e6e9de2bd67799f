"""`xen-cim schema`: get the DMTF CIM schema and compile it.

The schema is a dependency: it comes out of pywbem's source distribution, the only place on the package index that has
it, and is checked against a pinned checksum. DMTF documents may be reproduced with attribution: CIM Schema 2.49.0.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib import resources
from pathlib import Path

from netserve.files import write_atomically
from pycimom.mof_source import MofError
from pycimom.repository_cache import open_repository
from xen_tools.errors import CommandError
from xen_tools.progress import progress
from xen_tools.settings import cache_folder, schema_file

ARCHIVE = "cim_schema_2.49.0Final-MOFs.zip"
ARCHIVE_SHA256 = "101bf198d7b760833c02a4a5aa49e2f8216669fbc83715c61c934c71e47ed09b"
CARRIER = "pywbem==1.9.1"
MEMBER = f"tests/schema/{ARCHIVE}"
PIP_LIMIT = 600.0
"""Seconds that pip may take."""
WHOLE = "whole-schema"
"""The file in the cache folder that says that all classes of the schema are wanted."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "--all", action="store_true", help="compile all classes of the schema, not just what the model reaches"
    )


def main(arguments: argparse.Namespace) -> int:
    """Get and compile the schema; later starts of the bridge serve what was compiled last."""
    cache = cache_folder(os.environ)
    archive = obtain(cache, schema_file(os.environ))
    marker = cache / WHOLE
    if arguments.all:
        write_atomically(marker, b"")
    else:
        marker.unlink(missing_ok=True)
    compile_schema(archive, cache)
    print(f"The schema is compiled: {archive}")
    return 0


def model_files() -> list[Path]:
    """Return the MOF files of the Xen model."""
    return sorted(Path(str(resources.files("xen_providers.mof"))).glob("*.mof"))


def is_whole(cache: Path) -> bool:
    """Whether all classes of the schema are served, and not only what the model reaches."""
    return (cache / WHOLE).exists()


def obtain(cache: Path, given: Path | None) -> Path:
    """Return the schema's zip file: the given one, else the one in the cache folder, else fetched."""
    if given is not None:
        return given
    archive = cache / ARCHIVE
    with contextlib.suppress(OSError):
        if hashlib.sha256(archive.read_bytes()).hexdigest() == ARCHIVE_SHA256:
            return archive
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"The cache folder {cache} cannot be written: {(error.strerror or '').lower()}.") from error
    print("Fetching the DMTF CIM schema 2.49.0 (once) ...", flush=True)
    write_atomically(archive, _fetch(), mode=0o644)
    return archive


def compile_schema(archive: Path, cache: Path) -> None:
    """Compile into the cache folder what is not there yet, showing how far it is."""
    try:
        with progress("Compiling the CIM schema (once)") as report:
            parts = (archive, model_files(), cache, lambda done, total, _: report(done, total))
            open_repository(*parts, whole_schema=is_whole(cache))
    except MofError as error:
        raise CommandError(f"The schema cannot be compiled: {error}") from error
    except OSError as error:
        raise CommandError(f"The cache folder {cache} cannot be written: {error}.") from error


def _fetch() -> bytes:
    """Return the archive out of the source distribution that carries it; CommandError says the way out."""
    command = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pywbem", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(prefix="xen-cim-") as folder:
        try:
            subprocess.run(  # noqa: S603
                [sys.executable, *command, "--dest", folder, CARRIER],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=PIP_LIMIT,
            )
            (carrier,) = Path(folder).glob("*.tar.gz")
            data = _take_out(carrier)
        except subprocess.CalledProcessError as error:
            raise _not_fetched(_reason(error.stderr)) from error
        except subprocess.TimeoutExpired as error:
            raise _not_fetched(f"pip took more than {PIP_LIMIT:.0f} s") from error
        except (OSError, ValueError, KeyError, tarfile.TarError) as error:
            raise _not_fetched(f"{CARRIER} does not carry it as expected ({error})") from error
    if hashlib.sha256(data).hexdigest() != ARCHIVE_SHA256:
        raise _not_fetched("what came has another checksum than the schema 2.49.0")
    return data


def _take_out(carrier: Path) -> bytes:
    with tarfile.open(carrier) as tar:
        (member,) = (each for each in tar.getmembers() if each.name.endswith(f"/{MEMBER}"))
        file = tar.extractfile(member)
        if file is None:
            raise KeyError(MEMBER)
        return file.read()


def _reason(stderr: str) -> str:
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    said = errors or stderr.splitlines() or ["no reason given"]
    return f"pip says: {said[0].strip().rstrip('.')}"


def _not_fetched(why: str) -> CommandError:
    return CommandError(
        f"The DMTF CIM schema cannot be fetched ({why}); without a network, set XEN_CIM_SCHEMA to the file {ARCHIVE}."
    )
