"""Servers that a client must survive, and one that remembers what it was sent.

    sink.py FOLDER

Makes a certification authority and certificates in FOLDER with the openssl command, listens on ports of
127.0.0.1 that the kernel chooses, and prints one line of JSON that names them: `plain`, and over TLS `good`,
`wrong_name`, `expired`, `self_signed`, `old` (TLS 1.1 only). The path of a request chooses the behaviour; the
rest is recorded, answered 200 or as `POST /script` said, and listed by `GET /recorded`.
Ends with its stdin, and the folder goes with it.
"""

import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certify(folder, name, alternative, days):
    """A certificate by the authority of the folder."""
    (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
    request = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=sink"]
    openssl(folder, "req", *EC, *request)
    authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
    rest = ["-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *authority, *rest)


def certify_itself(folder, name, subject, *extensions):
    extra = [word for extension in extensions for word in ("-addext", extension)]
    names = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", subject]
    openssl(folder, "req", "-x509", *EC, *names, "-days", "2", *extra)


def make_certificates(folder):
    authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"]
    certify_itself(folder, "ca", "/CN=authority of the tests", *authority)
    local = "DNS:localhost,IP:127.0.0.1"
    certify(folder, "good", local, 2)
    certify(folder, "wrong_name", "DNS:elsewhere.example", 2)
    certify(folder, "expired", local, -1)
    certify_itself(folder, "self_signed", "/CN=localhost", f"subjectAltName={local}")


class Memory:
    """What was asked, and what is to be answered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []
        self.answers = {}

    def take(self, request):
        with self.lock:
            self.requests.append(request)
            waiting = self.answers.get(request["method"] + " " + request["path"].split("?")[0], [])
            if not waiting:
                return {"status": 200, "body": "ok"}
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]


MEMORY = Memory()


def read_request(stream):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = stream.recv(65536)
        if not piece:
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ")
    fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    return {"method": method, "path": path, "fields": fields}, body


def rest_of(stream, request, body):
    wanted = int(request["fields"].get("content-length", "0"))
    while len(body) < wanted:
        piece = stream.recv(65536)
        if not piece:
            break
        body += piece
    return body


def reply(stream, status, body, kind="application/json", fields=""):
    content = body if isinstance(body, bytes) else body.encode()
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n{fields}\r\n"
    stream.sendall(head.encode() + content)


def drip(stream, pieces, pause):
    for piece in pieces:
        stream.sendall(piece)
        time.sleep(pause)


def forever(piece):
    while True:
        yield piece


def misbehave(stream, path):
    """True when the path stands for a behaviour, which is done then."""
    head = b"HTTP/1.1 200 OK\r\n"
    if path == "/chunked":
        stream.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        drip(stream, [b"5\r\nhel", b"lo\r\n6;a=b\r\n wor", b"ld\r", b"\n0\r\nx-t: 1\r\n\r\n"], 0.02)
    elif path == "/close":
        stream.sendall(head + b"connection: close\r\n\r\nall of it")
    elif path == "/interim":
        stream.sendall(b"HTTP/1.1 103 Early\r\nlink: <a>\r\n\r\n" + head + b"content-length: 2\r\n\r\nok")
    elif path == "/interims":
        drip(stream, forever(b"HTTP/1.1 100 Continue\r\n\r\n"), 0)
    elif path == "/drip-head":
        stream.sendall(head + b"x-slow: ")
        drip(stream, forever(b"x"), 0.02)
    elif path == "/drip-body":
        stream.sendall(head + b"content-length: 1000000\r\n\r\n")
        drip(stream, forever(b"x"), 0.02)
    elif path == "/refusal-without-body":
        stream.sendall(b"HTTP/1.1 422 No\r\ncontent-length: 100\r\n\r\n")
        drip(stream, forever(b""), 0.05)
    elif path == "/silent":
        stream.recv(1)
    elif path == "/huge":
        stream.sendall(head + b"content-length: 99999999\r\n\r\n")
        drip(stream, forever(b"x" * 65536), 0)
    elif path == "/huge-chunked":
        stream.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
        drip(stream, forever(b"10000\r\n" + b"x" * 65536 + b"\r\n"), 0)
    elif path == "/huge-head":
        stream.sendall(head)
        drip(stream, forever(b"x-filler: " + b"y" * 8000 + b"\r\n"), 0)
    elif path == "/garbage":
        stream.sendall(bytes(range(256)) * 4)
    elif path == "/bad-chunk":
        stream.sendall(head + b"transfer-encoding: chunked\r\n\r\nzz\r\n")
    elif path == "/two-lengths":
        stream.sendall(head + b"content-length: 2\r\ncontent-length: 3\r\n\r\nokk")
    elif path == "/truncated":
        stream.sendall(head + b"content-length: 100\r\n\r\nhalf")
    elif path == "/truncated-chunks":
        stream.sendall(head + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
    elif path == "/nothing":
        pass
    elif path == "/redirect":
        stream.sendall(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
    else:
        return False
    return True


def serve(stream):
    read = read_request(stream)
    if read is None:
        return
    request, body = read
    if request["path"] == "/early":
        reply(stream, 413, "{}", fields="connection: close\r\n")
        # Unread bytes would turn the close into a reset that destroys the answer on its way.
        stream.settimeout(5)
        rest_of(stream, request, body)
        return
    if misbehave(stream, request["path"]):
        return
    request["body"] = rest_of(stream, request, body).decode()
    if request["path"] == "/recorded":
        with MEMORY.lock:
            reply(stream, 200, json.dumps(MEMORY.requests))
    elif request["path"] == "/script":
        with MEMORY.lock:
            MEMORY.answers.update(json.loads(request["body"]))
        reply(stream, 200, "{}")
    else:
        request["at"] = time.time()
        answer = MEMORY.take(request)
        time.sleep(answer.get("delay", 0))
        body = answer.get("body", "")
        fields = "".join(f"{k}: {v}\r\n" for k, v in answer.get("fields", {}).items())
        reply(stream, answer["status"], body if isinstance(body, str) else json.dumps(body), fields=fields)


def handle(client, context):
    try:
        client.settimeout(60)
        stream = client if context is None else context.wrap_socket(client, server_side=True)
        with stream:
            serve(stream)
            if context is not None:
                stream.unwrap()
    except (OSError, ValueError):
        client.close()


def listen(context=None):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=handle, args=(client, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def tls(folder, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def main():
    folder = pathlib.Path(sys.argv[1])
    make_certificates(folder)
    ports = {name: listen(tls(folder, name)) for name in ("good", "wrong_name", "expired", "self_signed")}
    old = tls(folder, "good")
    old.set_ciphers("ALL:@SECLEVEL=0")
    warnings.simplefilter("ignore", DeprecationWarning)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    ports |= {"plain": listen(), "old": listen(old), "pid": os.getpid()}
    print(json.dumps(ports), flush=True)
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
