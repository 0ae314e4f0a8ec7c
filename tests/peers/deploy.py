"""What is installed, and the commands of the operations guide: systemd unit, Debian package, compose file, backup, restore, move."""

import json
import os
import re
import shutil
import subprocess

import phantom
import settings
import yaml
from support import BIN, ENVIRONMENT, ROOT, Node, Skipped, receive, run, wait, workspace

COMPOSE = [["docker", "compose"], ["docker-compose"]]
GUIDE = (ROOT / "docs/operations.md").read_text()


def test_the_unit_is_sound_and_gives_little_away():
    if not shutil.which("systemd-analyze"):
        raise Skipped("systemd-analyze is not installed")
    unit = ROOT / "packaging/sagittal.service"
    score = run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit).stdout.splitlines()[-1]
    root = workspace("deploy-unit")
    (root / "usr/bin").mkdir(parents=True)
    # what the unit names, so that verifying sees no missing program
    for program in ("usr/bin/sagittal", "bin/kill"):
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).write_text("#!/bin/sh\n")
        (root / program).chmod(0o755)
    (root / "etc/systemd/system").mkdir(parents=True)
    for base in ("sysinit.target", "basic.target", "shutdown.target", "network-online.target", "multi-user.target"):
        (root / "etc/systemd/system" / base).write_text("[Unit]\nDescription=for verification\n")
    shutil.copy(unit, root / "etc/systemd/system")
    done = run("systemd-analyze", "verify", "--man=no", f"--root={root}", "sagittal.service", check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "sagittal" in line]
    assert not said, "\n".join(said)
    return score.strip()


def test_the_package_holds_a_node_that_starts():
    if not shutil.which("dpkg-deb"):
        raise Skipped("dpkg-deb is not installed")
    root = workspace("deploy-deb")
    env = {**ENVIRONMENT, "BIN": str(BIN), "OUT": str(root), "COMPRESS": "none"}
    subprocess.run([ROOT / "scripts/deb.sh"], env=env, check=True, capture_output=True)
    [package] = root.glob("*.deb")
    fields = run("dpkg-deb", "-f", package, "Package", "Architecture", "Depends").stdout
    assert "Package: sagittal" in fields, fields
    run("dpkg-deb", "-x", package, root / "x")
    run("dpkg-deb", "-e", package, root / "control")
    conffiles = (root / "control/conffiles").read_text().split()
    assert {"/etc/sagittal/node.toml", "/etc/sagittal/rules.toml"} <= set(conffiles), conffiles
    for script in ("postinst", "prerm"):
        run("sh", "-n", root / "control" / script)
    config = root / "x/etc/sagittal"
    assert 'data = "/var/lib/sagittal"' in (config / "node.toml").read_text()
    run(root / "x/usr/bin/sagittal", "check", "--config", config)
    assert os.access(root / "x/usr/lib/sagittal/sagittal", os.X_OK)
    assert list((root / "x/usr/lib/sagittal").glob("libonnxruntime.so*")), "the package lacks ONNX Runtime"
    assert (root / "x/lib/systemd/system/sagittal.service").exists()


def test_an_installation_keeps_what_was_changed():
    root = workspace("deploy-install")
    env = {**ENVIRONMENT, "BIN": str(BIN), "DESTDIR": str(root)}
    install = lambda: subprocess.run([ROOT / "scripts/install.sh"], env=env, check=True, capture_output=True)
    install()
    rules = root / "etc/sagittal/rules.toml"
    rules.write_text("# mine\n")
    install()
    assert rules.read_text() == "# mine\n" and (root / "etc/sagittal/rules.toml.new").exists()
    assert not (root / "etc/sagittal/node.toml.new").exists(), "an unchanged file has no new one beside it"


def test_the_compose_file_is_sound():
    tool = COMPOSE[1] if shutil.which("docker-compose") else COMPOSE[0]
    run(*tool, "-f", ROOT / "docker-compose.yml", "config", "--quiet")
    wrong = workspace("deploy-compose") / "docker-compose.yml"
    wrong.write_text((ROOT / "docker-compose.yml").read_text().replace("read_only: true", "readonly: true"))
    assert run(*tool, "-f", wrong, "config", "--quiet", check=False).returncode != 0, "a wrong key is not noticed"
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose) == {"services", "volumes"}, compose.keys()
    for name, service in compose["services"].items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["user"] not in ("root", "0") and service["healthcheck"]["test"], name
        assert service["environment"]["TCP_NODELAY"] == "1" and service["restart"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"]), name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], volume
        for other in service.get("depends_on", {}):
            assert other in compose["services"], other
        build = ROOT / service["build"]
        assert re.search(rf"^USER {service['user']}$", (build / "Dockerfile").read_text(), re.M), name
    return " ".join(tool)


class Service:
    """A node, and a `systemctl` for the guide's commands that starts and stops it."""

    def __init__(self, name):
        self.folder = workspace(name)
        rules = [("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball")]
        texts = settings.files({"ball": "threshold"}, rules, {"out": {"kind": "folder", "path": str(self.folder / "out")}})
        self.node = Node(self.folder / "node", texts)
        self.places = {name: str(self.folder / path) for name, path in
                       {"CONFIG": "node/config", "DATA": "node/data", "NEW": "moved", "BACKUP": "backup"}.items()}
        (self.folder / "backup").mkdir()

    def block(self, heading, number=0):
        """Runs a block of commands of the guide, line by line as far as `systemctl` goes."""
        section = GUIDE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
        commands = re.findall(r"```sh\n(.*?)```", section, re.S)[number]
        for line in commands.splitlines():
            if line == "systemctl stop sagittal":
                assert self.node.stop() == 0
            elif line == "systemctl start sagittal":
                self.node.start()
            elif not line.startswith("#"):
                self.shell(line)

    def shell(self, line):
        path = f"{self.folder}/bin:{ENVIRONMENT['PATH']}"
        (self.folder / "bin").mkdir(exist_ok=True)
        link = self.folder / "bin/sagittal"
        if not link.exists():
            link.symlink_to(BIN.resolve())
        env = {**ENVIRONMENT, **self.places, "PATH": path}
        done = subprocess.run(["bash", "-euc", line], env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    def series(self, name):
        receive(self.node, phantom.write(self.folder / name, name, slices=4))

    def done(self):
        return [job for job in self.node.jobs() if job["state"] == "completed" and job["kind"] == "deliver"]


def test_the_guides_backup_is_taken_while_running_and_restored():
    service = Service("deploy-backup")
    try:
        service.series("before")
        wait("the first result", lambda: len(service.done()) == 1)
        service.block("Backup")
        service.series("after")
        wait("the second result", lambda: len(service.done()) == 2)
        service.block("Backup", 1)
        assert len(service.done()) == 1, "the state of the backup"
        service.series("again")
        wait("the node goes on", lambda: len(service.done()) == 2)
        assert "lost" not in service.node.log(), service.node.log()[-2000:]
        refused = service.node.command("backup", service.folder / "backup/ledger.sqlite", check=False)
        assert refused.returncode == 1 and "exists already" in refused.stderr, refused.stderr
    finally:
        service.node.stop()


def test_the_guides_upgrade_and_move_lose_nothing():
    service = Service("deploy-move")
    try:
        service.series("one")
        wait("the first result", lambda: len(service.done()) == 1)
        service.block("Upgrading")
        service.block("Moving the data to another disk")
        assert len(service.done()) == 1
        shutil.rmtree(service.places["DATA"])
        service.series("two")
        wait("the second result", lambda: len(service.done()) == 2)
        [job] = [j for j in service.node.jobs() if j["kind"] == "infer" and j["id"] == 1]
        shown = json.loads(service.node.command("jobs", "show", job["id"], "--json").stdout)
        assert shown["results"], "what was received before the move is still known"
    finally:
        service.node.stop()
