"""registries.conf: which registries CRI-O and Podman do not verify, or ask elsewhere with other files."""

from __future__ import annotations

import fnmatch

import pytest

from registry_trust.agent.runtime.configuration_files import UnreadableConfiguration
from registry_trust.agent.runtime.crio.registries_conf import RegistriesConf, read_configuration
from registry_trust.agent.runtime.crio.runtime import Crio
from registry_trust.core.layout import Reader
from registry_trust.core.report import RegistryRow, RowState
from tests.rows import message_of, reason_of

MAIN = "/etc/containers/registries.conf"
HARBOR = "harbor.corp.example:5000"
CRIO = frozenset({Reader.CONTAINERS})


def conf(*files: tuple[str, str]) -> RegistriesConf:
    """Read these files as the agent does, by path and text."""
    contents = {path: text.encode() for path, text in files}
    return read_configuration(lambda _: True, contents.get, lambda pattern: sorted(fnmatch.filter(contents, pattern)))


def said(text: str, *registries: str, readers: frozenset[Reader] = CRIO) -> tuple[list[str], tuple[str, ...]]:
    """Return the reasons of the rows with their messages, and the notices, for a main file."""
    crio = Crio(conf((MAIN, text)))
    rows = crio.with_exceptions([RegistryRow(each, RowState.CURRENT) for each in registries or (HARBOR,)], readers)
    return [f"{reason_of(row)} {message_of(row)}".strip() for row in rows], tuple(map(str, crio.notices(rows, readers)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[[registry]]\nlocation = "{HARBOR}"\ninsecure = true', f"{MAIN} sets insecure = true for {HARBOR}: CRI-O"),
        ('[[registry]]\nlocation = "harbor.corp.example"\ninsecure = true', "insecure = true for harbor.corp.example:"),
        ('[[registry]]\nprefix = "*.corp.example"\ninsecure = true', "insecure = true for *.corp.example:"),
        (f'[[registry]]\nLocation = "{HARBOR}/"\nInsecure = true', "do not verify the registry's certificate"),
        (
            f'[[registry]]\nprefix = "{HARBOR}"\nlocation = "new.example/team"',
            f"sends pulls of {HARBOR} to new.example/team, and CRI-O and Podman use the directory of new.example",
        ),
    ],
)
def test_a_registry_that_is_not_verified_or_leads_elsewhere_says_so_on_its_row(text: str, words: str) -> None:
    (row,), more = said(text)

    assert row.startswith("RuntimeIgnoresTLS ")
    assert words in row
    assert more == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f'[[registry]]\nlocation = "{HARBOR}"\n[[registry.mirror]]\nlocation = "mirror.example/a"',
            f"has CRI-O and Podman pull {HARBOR} first, or only, from mirror.example, with the certificates in the",
        ),
        (
            f'[[registry]]\nprefix = "{HARBOR}/team"\nlocation = "other.example/team"',
            f"pull {HARBOR}/team first, or only, from other.example,",
        ),
        (
            f'[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "{HARBOR}/hub"\ninsecure = true',
            f"{HARBOR}/hub: CRI-O and Podman do not verify its certificate for the images of docker.io",
        ),
        (
            f'[[registry]]\nlocation = "{HARBOR}/team"\ninsecure = true',
            f"do not verify its certificate for the images of {HARBOR}/team",
        ),
    ],
)
def test_what_is_so_of_some_images_or_of_a_mirror_is_a_notice(text: str, words: str) -> None:
    (row,), (notice,) = said(text)

    assert row == ""
    assert notice.startswith(f"RuntimeIgnoresTLS: {MAIN} ")
    assert words in notice


@pytest.mark.parametrize(
    ("text", "registries"),
    [
        ("", (HARBOR,)),
        ('unqualified-search-registries = ["docker.io"]', (HARBOR,)),
        ('[[registry]]\nlocation = "other.example"\ninsecure = true', (HARBOR,)),
        ('[[registry]]\nlocation = "harbor.corp"\ninsecure = true', (HARBOR,)),
        (f'[[registry]]\nlocation = "{HARBOR}"\n[[registry.mirror]]\nlocation = "m.example"', (HARBOR, "m.example")),
        ('[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "m.example"', (HARBOR,)),
    ],
)
def test_what_concerns_no_registry_of_ours_is_not_said(text: str, registries: tuple[str, ...]) -> None:
    assert said(text, *registries) == ([""] * len(registries), ())


def test_only_the_readers_of_registries_conf_are_concerned() -> None:
    text = f'[[registry]]\nlocation = "{HARBOR}"\ninsecure = true'

    assert said(text, readers=frozenset({Reader.CONTAINERD, Reader.DOCKERD_CONTAINERD})) == ([""], ())


def test_drop_ins_come_in_the_order_of_their_names_and_the_earlier_folder_hides_the_later() -> None:
    found = conf(
        (MAIN, '[[registry]]\nlocation = "a.example"\ninsecure = true\n[[registry]]\nlocation = "b.example"'),
        ("/usr/share/containers/registries.conf", '[[registry]]\nlocation = "never.example"'),
        ("/etc/containers/registries.conf.d/10.conf", '[[registry]]\nlocation = "a.example"'),
        ("/etc/containers/registries.conf.d/20.conf", '[[registry]]\nlocation = "c.example"\ninsecure = true'),
        ("/etc/containers/registries.rootful.conf.d/20.conf", '[[registry]]\nlocation = "c.example"'),
        ("/etc/containers/registries.conf.d/README", "not TOML"),
    )

    assert [(entry.prefix, entry.endpoint.insecure) for entry in found.entries] == [
        ("a.example", False),
        ("b.example", False),
        ("c.example", False),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "is not valid TOML"),
        (f"{'.'.join('a' * 30000)} = 1", "is not valid TOML"),  # the standard library takes a minute for it
        ('[registries.insecure]\nregistries = ["a.example"]', "has the format of version 1"),
        ('[[registry]]\nlocation = "https://a.example"', "has a scheme"),
        ("[[registry]]\ninsecure = true", "without a location"),
        ('[[registry]]\nprefix = "*.example:5000"', "a wildcard takes no path and no port"),
        ('[[registry]]\nlocation = "a.example"\ninsecure = "true"', "insecure is not true or false"),
        ('registry = "a.example"', "registry is not a list of tables"),
    ],
)
def test_what_the_library_refuses_is_said_and_is_no_empty_configuration(text: str, words: str) -> None:
    with pytest.raises(UnreadableConfiguration, match=words) as caught:
        conf((MAIN, text))

    assert str(caught.value).startswith(MAIN)
    assert tuple(map(str, Crio("it is bad").notices([], CRIO))) == (
        "RuntimeUnknown: it is bad; so it is not known which registries CRI-O and Podman do not verify",
    )
