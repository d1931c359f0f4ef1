"""What is sent to the proxies: a few requests that must be answered right, then many by wrk, or many connections that idle."""

import contextlib
import http.client
import pathlib
import socket
import subprocess
import sys

from arena import pinned

SCRIPT = pathlib.Path(__file__).resolve().parent / "load.lua"
CONNECTIONS = 64
# An answer that a busy machine makes late is an answer; only its processor time is looked at.
PATIENCE = "30s"

# Whom the upstream must see, and what must not pass besides the request without a credential.
ARRIVES = {"guest": "guest", "bearer": "customer 1", "jwt": "customer 1", "oauth": "integration 1"}
REFUSED = {
    "guest": [],
    "bearer": ["bearer_wrong"],
    "jwt": ["jwt_wrong"],
    "oauth": ["oauth_wrong", "oauth_late"],
}


def check(arena, case):
    """Ends the run unless the case does what its name says: lets the right one in, with its identity, and nobody else."""

    def expect(request, status, identity=None, attempt=""):
        answer = ask(arena, case.proxy, request)
        if answer != (status, identity):
            sys.exit(f"{case.name}, {request}{attempt}: {answer} instead of {(status, identity)}")

    if case.proxy == "plain":
        status, _ = ask(arena, case.proxy, case.request)
        return status == 200 or sys.exit(f"{case.name}: {status} instead of 200")
    for request in ["refused", *REFUSED[case.request]]:
        expect(request, 401)
    expect(case.request, 200, ARRIVES[case.request])
    if case.request == "oauth":
        expect(case.request, 401, attempt=" a second time")
    return True


def ask(arena, proxy, request):
    """Status, and the identity that the upstream saw, in a request that claims another one."""
    first, *lines = arena.head(request).decode().split("\r\n")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", arena.ports[proxy], timeout=10)) as connection:
        connection.putrequest("GET", first.split(" ")[1], skip_host=True, skip_accept_encoding=True)
        for line in [*filter(None, lines), "X-Auth-User-Id: 999", "X-Auth-User-Type: admin", "X-Compare: identity"]:
            connection.putheader(*line.split(": ", 1))
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        arrived = answer.getheader("Arrived")
        return answer.status, arrived and arrived.strip()


def run(arena, wrk, case, seconds, signatures):
    """CPU microseconds of a request, and requests a second."""
    arguments = [arena.folder / f"{case.request}.head"]
    if case.request == "oauth":
        subprocess.run([arena.stage, "sign", arena.folder, str(signatures)], check=True)
        arguments.append(arena.folder / "oauth.list")
    command = [
        *(wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", PATIENCE, "-s", SCRIPT),
        *(f"http://127.0.0.1:{arena.ports[case.proxy]}/", "--", *arguments),
    ]
    before = arena.cpu_seconds(case.proxy)
    load = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pinned(arena.far))
    spent = arena.cpu_seconds(case.proxy) - before
    line = next(line for line in load.stdout.splitlines() if line.startswith("done "))
    done, duration, refused, broken = map(int, line.split()[1:])
    if refused or broken or not done:
        sys.exit(f"{case.name}: {done} answers, {refused} refused, {broken} broken\n{load.stdout}")
    return spent / done * 1e6, done / (duration / 1e6)


def idle_bytes(arena, proxy):
    """What each connection adds to resident memory once it has served a request, and the whole."""
    head = arena.head("bearer")
    with contextlib.ExitStack() as stack:
        open_one(stack, arena.ports[proxy], head)
        before = arena.resident_bytes(proxy)
        for _ in range(arena.idle):
            open_one(stack, arena.ports[proxy], head)
        after = arena.resident_bytes(proxy)
    return (after - before) / arena.idle, after


def open_one(stack, port, head):
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
    connection.sendall(head)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(connection)
    fields, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in fields.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < int(length.split(b":")[1]):
        body += received(connection)
    if not fields.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"an idle connection was answered {fields[:32]!r}")


def received(connection):
    return connection.recv(65536) or sys.exit("an idle connection was closed")
