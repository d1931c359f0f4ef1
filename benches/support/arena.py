"""What runs in the comparison: the upstream, the proxies, the auth service, each in a process of its own and on its core."""

import contextlib
import getpass
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")

# What each proxy's CPU time and memory is the sum of.
PROCESSES = {
    "plain": ["plain"],
    "portcullis": ["portcullis"],
    "lua": ["lua", "auth"],
    "auth_request": ["auth_request", "auth"],
}

# Bytes that a nonce takes in nginx's shared dictionary, rounded up generously.
NONCE_IN_DICTIONARY = 256

# Of every nginx: its process, and where it writes what it should never have to write.
MAIN = """
error_log stderr error; pid @FOLDER@/@NAME@.pid; worker_processes 1; daemon off; @USER@
events { worker_connections @CONNECTIONS@; }
"""
HTTP = """
    client_body_temp_path @FOLDER@/@NAME@_client_body; proxy_temp_path @FOLDER@/@NAME@_proxy;
    fastcgi_temp_path @FOLDER@/@NAME@_fastcgi; uwsgi_temp_path @FOLDER@/@NAME@_uwsgi; scgi_temp_path @FOLDER@/@NAME@_scgi;
    access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
"""
FORWARD = """
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
"""
# Overwrites what a client sends under these names; the credential ends here, as it does at Portcullis.
IDENTITY = """
            proxy_set_header X-Auth-User-Type $user_type;
            proxy_set_header X-Auth-Method $auth_method;
            proxy_set_header X-Auth-User-Id $user_id;
            proxy_set_header X-Auth-Acl $acl;
            proxy_set_header Authorization "";
"""
# Nothing but what the auth service reads goes there.
ASK = """
        location = /_auth {
            internal;
            proxy_pass http://auth;
            proxy_http_version 1.1;
            proxy_pass_request_body off;
            proxy_pass_request_headers off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header Host $http_host;
            proxy_set_header Authorization $http_authorization;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URI $request_uri;
        }
"""


class Arena:
    """Everything that runs, and the folder that it runs in."""

    def __init__(self, folder, nginx, portcullis, stage):
        self.folder, self.nginx, self.portcullis, self.stage = folder, nginx, portcullis, stage
        proxies = list(PROCESSES)
        self.upstream, self.admin, *ports = free_ports(2 + len(proxies))
        self.ports = dict(zip(proxies, ports))
        cores = sorted(os.sched_getaffinity(0))
        self.near, self.far = cores[0], cores[min(1, len(cores) - 1)]
        if self.near == self.far:
            print("one core only: proxy, load and upstream share it", file=sys.stderr)
        self.descriptors = all_descriptors()
        self.running, self.commands, self.missing, self.idle = {}, {}, {}, 0

    def start(self, proxies, nonces, idle):
        """Starts these proxies; why one cannot run stands in `missing` afterwards."""
        self.idle = min(idle, self.descriptors // 4)
        ports = [str(port) for port in (self.upstream, self.ports["portcullis"], self.admin)]
        subprocess.run([self.stage, "store", self.folder, *ports], check=True)
        compiled = subprocess.run([self.nginx, "-V"], check=True, capture_output=True, text=True).stderr
        modules = lua_modules(compiled)
        if modules is None:
            self.missing["lua"] = "not installed: apt-get install libnginx-mod-http-lua"
        if "--with-http_auth_request_module" not in compiled:
            self.missing["auth_request"] = "not built into this nginx"
        self.define_nginx("upstream", self.far)
        self.define_nginx("plain", self.near)
        self.define_nginx("auth_request", self.near)
        dictionary = max(16, nonces * NONCE_IN_DICTIONARY // 1024 // 1024)
        self.define_nginx("lua", self.near, {"MODULES": modules or "", "NONCES": str(dictionary)})
        serve = [self.portcullis, "serve", "--config", self.folder / "portcullis.toml"]
        self.commands["portcullis"] = (serve, self.near)
        self.commands["auth"] = ([self.stage, "auth", self.folder], self.near)
        wanted = {process for proxy in proxies - set(self.missing) for process in PROCESSES[proxy]}
        # The service first: whoever asks it must find it.
        for name in sorted({"upstream", *wanted}, key=lambda name: name != "auth"):
            self.begin(name)

    def define_nginx(self, name, core, more=None):
        text = (HERE / "nginx" / f"{name}.conf").read_text()
        own = {"MAIN": MAIN, "HTTP": HTTP, "FORWARD": FORWARD, "IDENTITY": IDENTITY, "ASK": ASK, **(more or {})}
        common = {
            "NAME": name,
            "FOLDER": str(self.folder),
            "USER": f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            "CONNECTIONS": str(self.idle + 1024),
            "UPSTREAM": str(self.upstream),
            "PORT": str(self.ports.get(name, "")),
            "AUTH": str(self.folder / "auth.sock"),
            "LUA": str(HERE / "lua"),
            "BODY": answer_body(),
        }
        for key, value in {**own, **common}.items():
            text = text.replace(f"@{key}@", value)
        file = self.folder / f"{name}.conf"
        file.write_text(text)
        self.commands[name] = ([self.nginx, "-e", "stderr", "-p", self.folder, "-c", file], core)

    def begin(self, name):
        """Starts a process, in place of the one that runs, and waits until it listens."""
        self.end(name)
        command, core = self.commands[name]
        self.running[name] = subprocess.Popen(command, preexec_fn=pinned(core), stdout=subprocess.DEVNULL)
        if name == "auth":
            wait_for(self.running[name], name, socket.AF_UNIX, str(self.folder / "auth.sock"))
        else:
            port = self.upstream if name == "upstream" else self.ports[name]
            wait_for(self.running[name], name, socket.AF_INET, ("127.0.0.1", port))

    def end(self, name):
        process = self.running.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self):
        for name in list(self.running):
            self.end(name)

    def head(self, name):
        """A request as the stage has written it."""
        return (self.folder / f"{name}.head").read_bytes()

    def cpu_seconds(self, proxy):
        """User and system time, of all threads, of whatever works for this proxy."""
        return sum(map(cpu_seconds, self.pids(proxy)))

    def resident_bytes(self, proxy):
        return sum(map(resident_bytes, self.pids(proxy)))

    def pids(self, proxy):
        """nginx's workers are children of what was started."""
        own = [self.running[name].pid for name in PROCESSES[proxy]]
        return own + [child for pid in own for child in children(pid)]


def lua_modules(compiled):
    """The directives that load the Lua module, empty where it is built in; None where there is none."""
    if "lua-nginx-module" in compiled or "ngx_lua" in compiled:
        return ""
    folder = next((word.partition("=")[2] for word in compiled.split() if word.startswith("--modules-path=")), "")
    files = [pathlib.Path(folder) / name for name in ("ndk_http_module.so", "ngx_http_lua_module.so")]
    return "\n".join(f"load_module {file};" for file in files) if all(map(pathlib.Path.exists, files)) else None


def all_descriptors():
    """Raises the limit of open files, which what is started inherits, as far as anybody may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(process, name, family, address):
    for _ in range(150):
        if process.poll() is not None:
            sys.exit(f"{name} ended with {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.socket(family) as attempt:
            attempt.settimeout(1)
            attempt.connect(address)
            return
        time.sleep(0.1)
    sys.exit(f"{name}: nothing listens on {address}")


def answer_body():
    items = ",".join(f'{{"sku":"24-MB{number:02}","name":"Bag {number:02}","price":34.5}}' for number in range(17))
    body = f'{{"items":[{items}],"total_count":17,"note":"'
    return body + "x" * (1024 - len(body) - 2) + '"}'


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024
