"""`hosts.toml` files, drawn from what people, tools and nobody would write; the same number, the same file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

CA_FILES = ("ca.crt", "sub/other.crt")
PAIRS = (("client.cert", "client.key"), ("combined.pem", ""))
"""Files that lie in the directory; a pair without a key has both in one file."""

TRUSTED, MIRROR = "harbor.corp.example:5000", "mirror.corp.example"
"""What the entry is for, and another registry of which a host can be one."""

URLS = (
    f"https://{TRUSTED}",
    TRUSTED,
    f"https://{MIRROR}",
    f"https://{MIRROR}:443/v2/hub",
    f"http://{MIRROR}",
    f"{MIRROR}/some/path/",
    "http://127.0.0.1:30020",
    "http://127.0.0.1:30021",
    "https://[2001:db8::1]:5000",
    "https://quay.io/v2",
    "http://10.0.0.1:80/a//b/../c",
    "https://registry-1.docker.io",
    "LOCALHOST:5000",
)
ODD_URLS = (
    "",
    "httpd.corp.example",
    "https://user:secret@m.example",
    "m.example?x=1",
    "https://m.example/a b",
    'q"uote',
    "back\\slash",
    "ü.example",
)
HOSTILE = (
    "plain",
    "Basic c2VjcmV0OnNlY3JldA==",
    'say "x" and \\ and \\n',
    "tab\tand\x7f\x1b[31m\u202eübergröße \U0001f600",
    "[host.'https://fake.example']",
    'line\nbreak\r\n[host."https://fake.example"]\n',
    "# no comment",
    "\u2028\x85\x00",
    "",
)
ODD = ("it'''s", 'say """x"""')
TIMEOUTS = ("200ms", "1m30s", "", "1.5h", "-1s", "1µs", "0", ".5s")
ODD_TIMEOUTS = ("5", "fast", "9999999999h", "1 s")


@dataclass
class _Draft:
    chance: random.Random

    def one(self, *of: str) -> str:
        return self.chance.choice(of)

    def usual(self) -> bool:
        return self.chance.random() < 0.97

    def text(self, value: str) -> str:
        """Return a TOML string of one of the kinds that can hold the value."""
        literal = all(each >= " " and each not in "'\x7f" for each in value)
        if literal and self.chance.random() < 0.5:
            return f"'{value}'"
        if not self.usual() and not self.usual():
            return f'"""{value}"""'
        return json.dumps(value, ensure_ascii=self.chance.random() < 0.5).replace("\x7f", "\\u007F")

    def texts(self, values: list[str]) -> str:
        gap = self.one("", " ", "\n    ")
        return f"[{gap}{f',{gap}'.join(map(self.text, values))}{self.one('', ',') if values else ''}{gap}]"

    def path(self, name: str) -> str:
        return self.text(self.one(name, name, f"HERE/{name}", f"./{name}", f"x/../{name}", f"../_default/{name}"))

    def ca(self) -> str:
        names = self.chance.sample(CA_FILES, self.chance.choice((1, 1, 2)))
        if not self.usual():
            return self.one("[]", '"missing.crt"', '""', "[1]", "true", '["a", ["b"]]')
        return self.path(names[0]) if len(names) == 1 else f"[{', '.join(map(self.path, names))}]"

    def client(self) -> str:
        if not self.usual():
            return self.one("[]", '["client.cert", "client.key"]', '[["a"]]', "1", '[["a", 1]]', '"missing.pem"')
        (cert, key), (combined, _) = PAIRS
        pair = f"[{self.path(cert)}, {self.path(key)}]"
        both = self.path(combined)
        return self.one(both, f"[{both}]", f"[{pair}]", f"[\n  {pair},\n  {both},\n]", f"[{pair}, {pair}]")

    def header(self, head: str) -> tuple[list[str], list[str]]:
        """Return the lines of a header within its table, and after it."""
        names = self.chance.sample(["Authorization", "x-one", "X-Two", "1"], self.chance.choice((1, 2)))
        values = [self.text(self.chance.choice(HOSTILE if self.usual() else ODD)) for _ in names]
        values = [self.one(each, f"[{each}, {each}]", "[]", each) for each in values]
        if not self.usual():
            values[0] = self.one("1", "{ a = 'b' }", "[1]")
        named = [f"{self.one(name, json.dumps(name))} = {value}" for name, value in zip(names, values, strict=True)]
        form = self.chance.random()
        if form < 0.2:
            return [f"header = {{ {', '.join(named)} }}"], []
        if form < 0.35:
            return [f"header.{each}" for each in named], []
        return [], [f"{head}header]", *named]

    def keys(self, head: str) -> tuple[list[str], list[str]]:
        chosen: list[Callable[[], str]] = [
            lambda: f"capabilities = {self.capabilities()}",
            lambda: f"ca = {self.ca()}",
            lambda: f"client = {self.client()}",
            lambda: f"skip_verify = {self.one('true', 'false') if self.usual() else '1'}",
            lambda: f"override_path = {self.one('true', 'false')}",
            lambda: f"dial_timeout = {self.text(self.chance.choice(TIMEOUTS if self.usual() else ODD_TIMEOUTS))}",
        ]
        lines = [line() for line in self.chance.sample(chosen, self.chance.choice((0, 1, 1, 2, 3, 6)))]
        if not self.usual():
            lines.append(
                self.one("rewrite = { 'a' = 'b' }", "CA = 'x'", "unknown = 1", "Server = 'x'", "dial_timeout = 5")
            )
        within, after = self.header(head) if self.chance.random() < 0.3 else ([], [])
        return lines + within, after

    def capabilities(self) -> str:
        some = ["pull", "resolve", "push", "Pull"]
        if not self.usual():
            some += [self.one("referrers", "referrers", "delete", "")]
        return self.texts(self.chance.sample(some, self.chance.choice((0, 1, 2, 3))))


def draw(number: int) -> str:
    """Return the text of one file; HERE stands for the directory that it is in."""
    chance = random.Random(number)  # noqa: S311 (no secret)
    draft = _Draft(chance)
    lines = ["# written by nobody"] if chance.random() < 0.3 else []
    if chance.random() < 0.3:
        lines.append(f"server = {draft.text(chance.choice((*URLS, '') if draft.usual() else ODD_URLS))}")
    within, header = draft.keys("[") if chance.random() < 0.4 else ([], [])
    tables = _tables(draft, chance)
    tables.insert(chance.choice((0, len(tables))), header)
    if chance.random() < 0.3:
        tables.insert(0, ["[host]", *([] if draft.usual() else ["'https://quay.io'.capabilities = []"])])
    lines += [*within, *(line for table in tables for line in ("", *table))]
    indent = draft.one("", "", "  ", "\t")
    text = "\n".join(f"{indent}{line}" for line in lines) + draft.one("", "\n")
    if not draft.usual():
        text = draft.one(text[: len(text) // 2], text.replace("]", "", 1), text + '\nserver = "again"', "\ufeff" + text)
    return text.replace("\n", "\r\n") if chance.random() < 0.05 else text


def _tables(draft: _Draft, chance: random.Random) -> list[list[str]]:
    tables: list[list[str]] = []
    urls = chance.sample(URLS, chance.choice((0, 1, 1, 2, 3, 5)))
    for url in urls if draft.usual() else [*urls, draft.one(*ODD_URLS)]:
        name = draft.text(url).replace("\n", "")
        within, after = draft.keys(f"[host.{name}.")
        blank = draft.one("", "", "  ")
        head = f"{draft.one('', '  ')}[{blank}{draft.one('host', 'host', json.dumps('host'))}.{name}{blank}]"
        if draft.usual():
            tables.append([head, *within, *after])
        else:
            tables += [[head, *within], after] if draft.one("", "x") else [[*after, head, *within]]
    if not draft.usual():
        chance.shuffle(tables)
    return tables
