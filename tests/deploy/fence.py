"""A unit's fence against what the gate really does: its system calls, its memory, its sockets.

Runs the gate under strace, as nobody where this runs as root, through a start, a request of each cost (refused, forwarded
to nowhere, a password), a reload and a stop. Every call has to be let through by SystemCallFilter, no memory may be
writable and executable (MemoryDenyWriteExecute), every socket has to be of a family of RestrictAddressFamilies.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
# What strace and the start of any program do before the first instruction of ours.
BEFORE = {"execve"}


def allowed(unit):
    """The set that the unit's SystemCallFilter lines leave, as systemd reads them: a list, then what each line adds or takes."""
    calls = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        takes = line.startswith("~")
        for name in line.removeprefix("~").split():
            names = group(name) if name.startswith("@") else {name}
            calls = calls - names if takes else calls | names
    return calls


def group(name):
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], check=True, capture_output=True, text=True
    ).stdout
    words = [line.strip() for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return {call for word in words for call in (group(word) if word.startswith("@") else {word})}


def ask(url, body=None):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def main(program, unit):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copy(program, folder / "portcullis")
        for file in ("acl.json", "webapi_routes.json"):
            shutil.copy(ROOT / "config/magento" / file, folder)
        (folder / "crypt.key").write_text("0123456789abcdef0123456789abcdef")
        text = (ROOT / "deploy/systemd/portcullis.toml").read_text()
        text = re.sub(r"/(etc/portcullis/secrets|var/lib/portcullis|var/log/portcullis)", name, text)
        text = re.sub(r'(proxy|admin) = "127.0.0.1:\d+"', r'\1 = "127.0.0.1:0"', text)
        # A name, so that it is resolved; port 9 answers nobody.
        text = re.sub(r'url = "http://[^"]*"', 'url = "http://localhost:9"', text)
        (folder / "portcullis.toml").write_text(text)
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        trace = watch(folder)
    judge(trace, pathlib.Path(unit).read_text())


def watch(folder):
    """Runs the gate and returns what strace saw."""
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    gate = [str(folder / "portcullis")]
    config = ["--config", str(folder / "portcullis.toml")]
    subprocess.run([*gate, "migrate", *config], check=True, stdout=subprocess.DEVNULL, **as_nobody)
    log = folder / "events"
    with log.open("w") as events:
        process = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", str(folder / "trace"), *gate, "serve", *config],
            stdout=subprocess.DEVNULL,
            stderr=events,
            **as_nobody,
        )
    try:
        serving = wait_for(log, "serving")
        proxy = f"http://{serving['proxy']}/rest/V1"
        assert ask(f"http://{serving['admin']}/metrics") == 200
        assert ask(f"{proxy}/store/websites") == 401
        assert ask(f"{proxy}/directory/currency") == 502
        login = b'{"username":"nobody@example.com","password":"guess"}'
        assert ask(f"{proxy}/integration/customer/token", login) == 401
        child = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        os.kill(child, signal.SIGHUP)
        wait_for(log, "configuration")
        os.kill(child, signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
    return (folder / "trace").read_text(errors="replace")


def wait_for(log, beginning):
    for _ in range(600):
        for line in log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                event = json.loads(line)
                if event.get("message", "").startswith(beginning):
                    return event
        time.sleep(0.1)
    sys.exit(f"no event {beginning!r}:\n{log.read_text()}")


def judge(trace, unit):
    calls = set(re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE)) - BEFORE
    assert {"accept4", "setpriority", "openat"} <= calls, f"not much was seen: {sorted(calls)}"
    refused = calls - allowed(unit)
    assert not refused, f"SystemCallFilter refuses {sorted(refused)}"
    if "MemoryDenyWriteExecute=yes" in unit:
        both = [line for line in re.findall(r"mmap\([^)]*\)", trace) if "PROT_WRITE" in line and "PROT_EXEC" in line]
        later = re.findall(r"mprotect\([^)]*PROT_EXEC[^)]*\)", trace)
        assert not both and not later, f"MemoryDenyWriteExecute refuses {(both + later)[:3]}"
    families = set(re.findall(r"socket(?:pair)?\((AF_\w+)", trace))
    let_in = set(re.search(r"^RestrictAddressFamilies=(.*)$", unit, re.MULTILINE)[1].split())
    assert families <= let_in, f"RestrictAddressFamilies refuses {sorted(families - let_in)}"
    print(f"   {len(calls)} system calls, {', '.join(sorted(families))}: all let through")


main(*sys.argv[1:])
