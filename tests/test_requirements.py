"""The locked requirements fit every machine, and not only the one on which they were resolved."""

import re
from importlib import metadata

from tests.project import ROOT

REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?:.*\n)(?: +--hash.*\n)+)", re.MULTILINE)


def test_packages_for_one_platform_are_locked_for_the_others_as_well() -> None:
    """A resolver that finds a package in a folder of wheels locks the wheels that lie there, and no others."""
    few = []
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        for name, version, hashes in REQUIREMENT.findall(file.read_text()):
            try:
                wheel = metadata.distribution(name).read_text("WHEEL") or ""
            except metadata.PackageNotFoundError:
                continue
            if "-none-any" not in wheel and "Tag: " in wheel and hashes.count("--hash") < 3:
                few.append(f"{file.name}: {name}=={version}")
    assert few == []
