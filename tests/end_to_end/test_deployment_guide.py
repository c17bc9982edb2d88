"""The deployment guide, followed to the letter on a copy of this machine, until a bank's first text has been sent.

The copy is this machine's file system with a layer above it, in namespaces of its own: users, folders and services of
the guide are gone with it. TEXTBANK_BARE_MACHINE names another root, such as debootstrap makes (with python3,
python3-venv, git, curl, openssl and nginx in it). Left out are apt-get and PostgreSQL's packages: its server is the wheel's.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.generate import DOCS

ROOT = DOCS.parent
MACHINE = Path(__file__).with_name("deployed_machine.sh")
BARE = os.environ.get("TEXTBANK_BARE_MACHINE", "/")
NEEDED = ("unshare", "chroot", "git", "curl", "openssl", "nginx", "setpriv")
PEOPLE = "phone,first_name,zip\n+18085550142,Ann,96813\n+18085550143,Bob,96813\n555,Cy,96813\n"
OVERLAY = """
set -eu
mount -t tmpfs -o size=4g tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root" "$1/up/guide"
cp "$2"/* "$1/up/guide/"
git clone -q --bare "$3" "$1/up/guide/textbank.git"
mount -t overlay overlay -o "lowerdir=$4,upperdir=$1/up,workdir=$1/work" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
cp /etc/resolv.conf "$1/root/etc/resolv.conf"
chroot "$1/root" /bin/bash -eu /guide/install.sh
exec unshare --net --pid --fork --mount-proc="$1/root/proc" chroot "$1/root" /bin/bash -eu /guide/run.sh
"""
_LINE = re.compile(r"^\$ (.+)$", re.MULTILINE)
_JSON = re.compile(r"^\$ cat (\S+\.json)\n(\{.*?^\})$", re.DOTALL | re.MULTILINE)


def lines(text: str) -> list[str]:
    return [
        line
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        for line in _LINE.findall(block)
    ]


def answers() -> list[str]:
    """What the guide says that the services answer, as patterns: … is anything, and an id any number."""
    guide = (DOCS / "how-to" / "deploy.md").read_text(encoding="utf-8")
    told = re.findall(r"^\$ curl (?!.*/story$).*\n(\{.+\})$", guide, re.MULTILINE)
    assert len(told) >= 4
    return [re.sub(r"\d{10,}", r"\\d+", re.escape(each).replace("…", ".*")) for each in told]


def scripts(folder: Path) -> None:
    """The guide's own lines; of what a person fills in only the repository and the key are said here."""
    guide = (DOCS / "how-to" / "deploy.md").read_text(encoding="utf-8")
    before, _, after = guide.partition("\n## PostgreSQL\n")
    after = after.partition("\n## Upgrade\n")[0]
    begin = f"export GUIDE=/guide\n. /guide/{MACHINE.name}\nset -x\n"
    install = [
        line.replace("https://git.example.org/textbank.git", "file:///guide/textbank.git")
        for line in lines(before)
    ]
    (folder / "install.sh").write_text(begin + "\n".join(install))
    run = ["begin", *(line for line in lines(after) if "apt.postgresql.org" not in line)]
    last = run.index("export KEY=tb_…")
    run[last : last + 1] = [
        "cd /guide",
        "start_nginx",
        "export KEY=$(textbank keys create desk --role admin)",
    ]
    stories = [line for line in run if line.endswith("/story")]
    run = [line for line in run if line not in stories]
    run += ["posts_while_worker_restarts 8800 nginx"]
    if shutil.which("caddy", path=f"{BARE}/usr/bin"):
        run += ["start_caddy", "posts_while_worker_restarts 8801 caddy"]
    (folder / "run.sh").write_text(begin + "\n".join(run))
    (folder / "people.csv").write_text(PEOPLE)
    for name, content in _JSON.findall(guide):
        (folder / name).write_text(content)
    for name in ("nginx.conf", "Caddyfile"):
        shutil.copy(DOCS / "how-to" / "deploy" / name, folder)
    shutil.copy(MACHINE, folder)


def roots_environment() -> dict[str, str]:
    """As root has it who just logged in, with what this machine says of certificates and proxies."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("SSL_", "PIP_", "HTTP"))}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return kept | {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8"}


@pytest.mark.nightly
@pytest.mark.skipif(os.geteuid() != 0, reason="a layer above the file system takes root")
@pytest.mark.skipif([name for name in NEEDED if shutil.which(name) is None] != [], reason=f"needs {NEEDED}")
def test_the_guide_leads_to_a_running_service(tmp_path: Path) -> None:
    guide, scratch = tmp_path / "guide", tmp_path / "scratch"
    guide.mkdir()
    scratch.mkdir()
    scripts(guide)
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            OVERLAY,
            "sh",
            scratch,
            guide,
            ROOT,
            BARE,
        ],
        env=roots_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, f"{said[-3000:]}\n{done.stderr[-6000:]}"
    said = said.partition("nothing is wrong\n")[2]
    assert [each for each in answers() if not re.search(each, said)] == [], said
    assert "nginx: 0 posts met a proxy's own error" in said
    assert "p@ss" not in said
    assert "p%40ss" not in said
    if "caddy: " in said:
        assert "caddy: 0 posts met a proxy's own error" in said
