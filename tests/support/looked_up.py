"""Run a `focalloop` command without a network, and print which host names were looked up.

``python -m tests.support.looked_up SECONDS COMMAND...`` runs in namespaces of its own (see
`tests.support.namespaces`). The only resolver there is the listener of this program. It waits for
the JSON document of the command, then SECONDS, interrupts it, and prints one document.
"""

import contextlib
import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_NO_SUCH_NAME = b"\x81\x83"


def start_loopback():
    """Switch on the loopback interface, which is off in a new network."""
    request = struct.pack("16sH22x", b"lo", _IFF_UP | _IFF_RUNNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def start_resolver(names):
    """Become the only resolver, which records each name asked for and knows none."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", 53))

    def listen():
        while True:
            query, sender = line.recvfrom(4096)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
                at += 1 + query[at]
            names.append(".".join(labels))
            line.sendto(query[:2] + _NO_SUCH_NAME + query[4:6] + bytes(6) + query[12:], sender)

    threading.Thread(target=listen, daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as config:
        config.write("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", config.name, "/etc/resolv.conf"], check=True)


def run(seconds, command):
    """Run the command until it has printed its document and `seconds` have passed."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    text = ""
    for line in process.stdout:
        text += line
        with contextlib.suppress(ValueError):
            json.loads(text)
            time.sleep(seconds)
            break
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    return {"printed": text, "complaints": complaints, "code": process.returncode}


def main():
    """Look a name up, to see that the resolver is heard; then run the command."""
    names = []
    start_loopback()
    start_resolver(names)
    with contextlib.suppress(socket.gaierror):
        socket.getaddrinfo("control.invalid", 80)
    heard, names[:] = "control.invalid" in names, []
    ran = run(float(sys.argv[1]), sys.argv[2:])
    print(json.dumps({"heard": heard, "looked_up": names, **ran}))


if __name__ == "__main__":
    main()
