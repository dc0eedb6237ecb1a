"""A small service that tells its own time to whoever asks, so that nobody has to believe the module.

It has one thread: with two, one may use what libfaketime knew before while the other reads the new time.
"""

from tests.faults.cases import Case

SERVICE = """\
import socketserver, time
class Tell(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"%.6f %.6f" % (time.time(), time.monotonic()))
class Server(socketserver.TCPServer):
    allow_reuse_address = True
Server(("127.0.0.1", 8099), Tell).serve_forever()
"""
# `ask.py NUMBER PAUSE EXPRESSION`: ask so often, the offsets are `o`; with no expression they are printed.
ASK = """\
import socket, sys, time
def ask():
    deadline = time.monotonic() + 3
    while True:
        try:
            with socket.create_connection(("127.0.0.1", 8099), timeout=2) as connection:
                told = connection.recv(64).split()
                return float(told[0]) - time.time(), float(told[1]) - time.monotonic()
        except (OSError, IndexError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
o = []
for number in range(int(sys.argv[1])):
    if number:
        time.sleep(float(sys.argv[2]))
    offset, monotonic = ask()
    assert abs(monotonic) < 1, "the monotonic clock is wrong too"
    o.append(offset)
if len(sys.argv) > 3:
    sys.exit(not eval(sys.argv[3]))
print(*o)
"""
PREPARE = f"""\
command -v python3 >/dev/null && mkdir /run/clocked || exit 1
cat > /run/clocked/serve.py <<'END'
{SERVICE}END
cat > /run/clocked/ask.py <<'END'
{ASK}END
cat > /run/systemd/system/clocked.service <<'END'
[Service]
ExecStart=/usr/bin/python3 -I /run/clocked/serve.py
User=nobody
END
systemctl daemon-reload && systemctl start clocked.service && python3 /run/clocked/ask.py 1 0 'abs(o[0]) < 1'
"""
CLEANUP = (
    "systemctl stop clocked.service; rm -r /run/clocked /run/systemd/system/clocked.service; systemctl daemon-reload"
)


def _case(name: str, acting: str, **parameters: object) -> Case:
    return Case(
        name=f"clock-{name}",
        module="clock",
        parameters={"unit": "clocked.service", "kind": name, **parameters},
        acting=f"python3 /run/clocked/ask.py {acting}",
        prepare=PREPARE,
        cleanup=CLEANUP,
    )


CASES = [
    _case("step", "1 0 'abs(o[0] + 7200) < 2'", offset="-2h"),
    _case("drift", "3 0.5 '0.03 < o[-1] - o[0] < 0.08'", rate=1.05),
    _case("strobe", "20 0.05 'min(map(abs, o)) < 2 and max(o) > 28'", offset="30s", period=0.2),
]
