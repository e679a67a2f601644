#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# A small store over HTTP for examples/rest.lua, in memory: rest_server.py [PORT]. Prints its port, and ends with its
# standard input. Keys are paths. GET (with ranges; of a path that ends with / the names below it), PUT (If-Match,
# If-None-Match), DELETE. The ETag of a key is new with each PUT.
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

objects = {}  # path -> (bytes, etag)
lock = threading.Lock()
count = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", etag=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if etag:
            self.send_header("ETag", '"%s"' % etag)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            if self.path.endswith("/"):
                names = [p[len(self.path):] for p in objects if p.startswith(self.path)]
                return self.answer(200, "".join(n + "\n" for n in sorted(names)).encode())
            body, etag = objects.get(self.path, (None, None))
        if body is None:
            return self.answer(404)
        if self.headers.get("If-None-Match") == '"%s"' % etag:
            return self.answer(304, etag=etag)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self.answer(200, body, etag)
        first = int(asked[1])
        if first >= len(body):
            return self.answer(416)
        return self.answer(206, body[first:int(asked[2]) + 1 if asked[2] else None], etag)

    def do_PUT(self):
        global count
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match, none_match = self.headers.get("If-Match"), self.headers.get("If-None-Match")
        with lock:
            etag = objects.get(self.path, (None, None))[1]
            if (match and match != '"%s"' % etag) or (none_match == "*" and etag):
                return self.answer(412)
            count += 1
            objects[self.path] = (body, "v%d" % count)
            etag = "v%d" % count
        return self.answer(204, etag=etag)

    def do_DELETE(self):
        with lock:
            there = objects.pop(self.path, None)
        return self.answer(204 if there else 404)


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # who has closed a connection wants no answer


server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
