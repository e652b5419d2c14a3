"""The relay and the proxies as processes of the lane, each with a directory and ports of its own."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess

from client import HOST, Target, request, until

MODULES = "/usr/lib/apache2/modules"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listening():
    """Returns a socket that a service manager would pass to the relay."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def certificate(work):
    """Writes a certificate, which is its own authority, and its key, apart and in one file."""
    crt, key = work / "push.crt", work / "push.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"]
    command += ["-addext", f"subjectAltName=DNS:{HOST}", "-keyout", str(key), "-out", str(crt)]
    subprocess.run(command, check=True, capture_output=True)
    (work / "push.pem").write_text(crt.read_text() + key.read_text())
    return crt


class Relay:
    """The relay with its events on disk. It can be stopped and started again at its port."""

    def __init__(self, program, work, heartbeat, listener=None):
        self.program, self.work, self.heartbeat, self.listener = program, work, heartbeat, listener
        self.port = listener.getsockname()[1] if listener else free_port()
        self.target, self.process = Target(self.port), None
        work.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self):
        command = [self.program, "--listen", f"127.0.0.1:{self.port}", "--host", HOST]
        command += ["--heartbeat", str(self.heartbeat), "--disk", str(self.work / "disk")]
        inherited = {}
        if self.listener:
            # As systemd does: the first socket is descriptor 3, and LISTEN_PID is the process itself.
            number = self.listener.fileno()
            script = f'exec 3<&{number}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
            command, inherited = ["bash", "-c", script, "relay", *command], {"pass_fds": [number]}
        with open(self.work / "relay.log", "a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **inherited)

        def ready():
            try:
                return request(self.target, "/readyz", patience=5)[0] == 200
            except OSError:
                return False

        assert until(ready), (self.work / "relay.log").read_text()

    def stop(self):
        """Drains it, and waits for its end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def publish(self, topic, text):
        status, body = request(self.target, f"/publish/{topic}", method="POST", body=text.encode())
        assert status == 200, body

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Proxy:
    """A proxy in front of a relay, with a configuration in which ports and paths are replaced."""

    NAMES = {"nginx": "nginx.conf", "HAProxy": "haproxy.cfg", "Caddy": "Caddyfile", "Apache": "apache.conf"}
    PROGRAMS = {"nginx": "nginx", "HAProxy": "haproxy", "Caddy": "caddy", "Apache": "apache2"}

    def __init__(self, name, source, work, relay, crt):
        self.name, self.work, self.crt = name, work, crt
        self.port = free_port()
        self.target = Target(self.port, str(crt))
        # Port without TLS, of proxies that take a second one in the same block.
        clear = free_port()
        self.clear = Target(clear) if name in ["nginx", "HAProxy"] else None
        listen = {
            "nginx": ("listen 443", f"listen 127.0.0.1:{clear};\n    listen 127.0.0.1:{self.port}"),
            "HAProxy": ("bind :443", f"bind 127.0.0.1:{clear}\n    bind 127.0.0.1:{self.port}"),
            "Caddy": (f"{HOST} {{", f"https://{HOST}:{self.port} {{\n\tbind 127.0.0.1"),
            "Apache": ("*:443", f"127.0.0.1:{self.port}"),
        }[name]
        text = (source / self.NAMES[name]).read_text()
        for old, new in [listen, ("127.0.0.1:7071", f"127.0.0.1:{relay.port}")]:
            assert old in text, f"{name}: no {old}"
            text = text.replace(old, new)
        text = text.replace("/etc/ssl/push.example", str(crt.with_suffix("")))
        work.mkdir(parents=True, exist_ok=True)
        (work / "site").write_text(text)
        with open(work / "log", "a") as log:
            command, environment = getattr(self, self.PROGRAMS[name])(log)
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})

        def listens():
            assert self.process.poll() is None, self.log()
            try:
                self.target.connect(5).close()
                return True
            except OSError:
                return False

        assert until(listens), self.log()

    def log(self):
        return (self.work / "log").read_text()[-3000:]

    def nginx(self, _):
        temporary = "".join(
            f"{kind}_temp_path {self.work}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        (self.work / "conf").write_text(
            f"daemon off; pid {self.work}/pid; error_log {self.work}/log;\n"
            + (f"user {self.user()};\n" if os.getuid() == 0 else "")
            + f"events {{}}\nhttp {{\naccess_log off;\n{temporary}include {self.work}/site;\n}}\n"
        )
        return [program("nginx"), "-c", str(self.work / "conf"), "-e", str(self.work / "log")], {}

    def haproxy(self, _):
        return [program("haproxy"), "-db", "-f", str(self.work / "site")], {}

    def caddy(self, _):
        options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
        (self.work / "Caddyfile").write_text(options + (self.work / "site").read_text())
        homes = {name: str(self.work) for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"]}
        return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(self.work / "Caddyfile")], homes

    def apache2(self, _):
        names = "mpm_event authz_core ssl http2 setenvif headers deflate filter proxy proxy_http".split()
        modules = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in names)
        user = f"User {self.user()}\nGroup {self.user()}\n" if os.getuid() == 0 else ""
        (self.work / "conf").write_text(
            f"ServerRoot {self.work}\nPidFile {self.work}/pid\nServerName {HOST}\nErrorLog {self.work}/log\n"
            f"Mutex pthread\nDefaultRuntimeDir {self.work}\nListen 127.0.0.1:{self.port}\n{modules}{user}"
            f"Include {self.work}/site\n"
        )
        return [program("apache2"), "-DFOREGROUND", "-f", str(self.work / "conf")], {}

    @staticmethod
    def user():
        """Returns an account without permissions."""
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "www-data" if "www-data" in names else "nobody"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def program(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
