"""A service as an ASGI application: whatever comes gets an answer that the OpenAPI document names.

Bodies go from bytes to checked Python in one step (pydantic's compiled validator) and back through orjson; nothing else
stands between a socket and the batcher, which is what makes it quick. uvicorn runs it.
"""

import asyncio
import hmac
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import ValidationError

from tenfold.serving.batching import Batcher, refusal
from tenfold.serving.openapi import document
from tenfold.serving.options import ServeOptions
from tenfold.serving.service import Endpoint, Refused, Service

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
OPEN = ("/health", "/ready")  # asked by those that watch the service, without a token
JSON = orjson.OPT_SERIALIZE_NUMPY


class App:
    def __init__(
        self,
        service: Service,
        options: ServeOptions,
        *,
        tokens: frozenset[str] = frozenset(),
        log: BinaryIO | None = None,
    ) -> None:
        """tokens: one of them must come with a request; none: all may ask.  log: where lines of JSON go."""
        self.service, self.options, self.log = service, options, log
        self.tokens = [token.encode() for token in tokens]
        self.batcher, self.stopping = Batcher(options.max_waiting), False
        self.exact = {(each.method, each.path): each for each in service.endpoints if "{" not in each.path}
        self.by_prefix = {
            (each.method, each.path.rpartition("/")[0]): each for each in service.endpoints if "{" in each.path
        }
        self.own: dict[str, Callable[[], tuple[int, bytes]]] = {
            "/health": self._health, "/ready": self._ready, "/metrics": self._metrics, "/openapi.json": self._document
        }  # fmt: skip
        self.figures = _Figures(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stopping = True
        await self.batcher.finish()
        self.service.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, endpoint = time.perf_counter(), None
        try:
            endpoint = self._endpoint(scope)
            if isinstance(endpoint, Endpoint):
                request = _request(endpoint, scope, await self._body(scope, receive))
                answer = await self.batcher.ask(endpoint, request)
                if isinstance(answer, Refused):
                    raise answer
                status, body = 200, orjson.dumps(answer, option=JSON)
            else:
                status, body = endpoint()
        except Exception as error:
            refused = refusal(error)
            status, body = refused.status, orjson.dumps({"error": str(refused)})
        kind = b"text/plain; version=0.0.4" if scope["path"] == "/metrics" and status == 200 else b"application/json"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        name = (
            endpoint.name if isinstance(endpoint, Endpoint) else scope["path"] if scope["path"] in self.own else "other"
        )
        self._note(scope, name, status, time.perf_counter() - started)

    def _note(self, scope: Scope, name: str, status: int, seconds: float) -> None:
        self.figures.add(name, status, seconds)
        if self.log is not None:
            line = {"time": time.time(), "request": name, "path": scope["path"], "status": status}
            self.log.write(orjson.dumps(line | {"ms": round(1000 * seconds, 3)}) + b"\n")

    def _endpoint(self, scope: Scope) -> Endpoint | Callable[[], tuple[int, bytes]]:
        method, path = scope["method"], scope["path"]
        if self.tokens and path not in OPEN:
            self._check_token(scope)
        found = self.exact.get((method, path)) or self.by_prefix.get((method, path.rpartition("/")[0]))
        if found is not None:
            return found
        if path in self.own and method in ("GET", "HEAD"):
            return self.own[path]
        known = [*self.exact, *((m, f"{prefix}/") for m, prefix in self.by_prefix), *(("GET", own) for own in self.own)]
        other = sorted({m for m, p in known if p == path or (p.endswith("/") and path.rpartition("/")[0] == p[:-1])})
        if other:
            raise Refused(405, f"{path} takes {' and '.join(other)}, found {method}")
        raise Refused(404, f"there is no {path:.100} here; /openapi.json says what there is")

    def _check_token(self, scope: Scope) -> None:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        token = given[7:] if given[:7].lower() == b"bearer " else b""
        if not any([hmac.compare_digest(token, each) for each in self.tokens]):  # a list: all are compared
            raise Refused(401, "this service wants a token it knows; send the header 'Authorization: Bearer TOKEN'")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        most = self.options.max_body
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        parts, size = [], 0
        too_long = Refused(413, f"a body may have {most:,} bytes; send fewer events at once")
        if length.isdigit() and int(length) > most:
            raise too_long
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the client went away")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise too_long
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _health(self) -> tuple[int, bytes]:
        return 200, orjson.dumps({"status": "alive"} | self.service.facts(), option=JSON)

    def _ready(self) -> tuple[int, bytes]:
        why = "it is stopping" if self.stopping else self.service.ready()
        return (200, b'{"status":"ready"}') if why is None else (503, orjson.dumps({"error": why}))

    def _metrics(self) -> tuple[int, bytes]:
        return 200, self.figures.text()

    def _document(self) -> tuple[int, bytes]:
        return 200, json.dumps(document(self.service, tokens=bool(self.tokens))).encode()  # orjson stops at 64 bits


def _request(endpoint: Endpoint, scope: Scope, body: bytes) -> Any:
    """Raises Refused: 400 for what is no JSON or no query, 422 for what has another shape."""
    if endpoint.takes is None:
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        for name in given:
            if name not in endpoint.query:
                raise Refused(
                    422, f"{endpoint.name} has no parameter '{name:.50}'; it takes {', '.join(endpoint.query)}"
                )
        _, _, last = endpoint.path.rpartition("/")
        if "{" in last:
            given[last[1:-1]] = unquote(scope["raw_path"].decode("latin-1").rpartition("/")[2], errors="replace")
        return given
    try:
        return endpoint.takes.validator.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            raise Refused(400, f"the body is no JSON: {first['msg'].removeprefix('Invalid JSON: ')}") from None
        message = first["msg"].replace("Input should be", "it should be")
        raise Refused(422, f"the body does not fit: {where + ': ' if where else ''}{message}") from None


class _Figures:
    """What /metrics tells, with the labels' children kept: looking one up costs more than counting."""

    def __init__(self, app: App) -> None:
        self.app, self.registry = app, CollectorRegistry()
        self.requests = Counter("tenfold_requests", "requests", ["endpoint", "status"], registry=self.registry)
        self.seconds = Histogram(
            "tenfold_request_seconds", "from the first byte to the last", ["endpoint"], registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
        )  # fmt: skip
        self.waiting = Gauge("tenfold_requests_waiting", "requests not answered yet", registry=self.registry)
        self.counts = Gauge("tenfold_service", "what the service counts", ["what"], registry=self.registry)
        self.children: dict[tuple[str, int], tuple[Any, Any]] = {}

    def add(self, name: str, status: int, seconds: float) -> None:
        if (name, status) not in self.children:
            self.children[name, status] = self.requests.labels(name, str(status)), self.seconds.labels(name)
        count, histogram = self.children[name, status]
        count.inc()
        histogram.observe(seconds)

    def text(self) -> bytes:
        self.waiting.set(self.app.batcher.count)
        for what, value in self.app.service.facts().items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                self.counts.labels(what).set(value)
        return generate_latest(self.registry)


def run(app: App, options: ServeOptions, started: Callable[[str], None]) -> None:
    """Serves until it is told to stop (SIGTERM, Ctrl-C); what was asked by then is answered. Raises OptionError."""
    import gc
    import socket

    import uvicorn

    from tenfold.errors import OptionError

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """To be told to stop is no failure: uvicorn's own would end the process by that signal afterwards."""
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

    listener = socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
        listener.listen(2048)  # before it is told: who reads the line may ask at once
    except OSError as error:
        raise OptionError(f"cannot listen on {options.host}:{options.port}: {error.strerror}; choose another") from None
    gc.collect()
    gc.freeze()  # a model's objects stay: to look through them again and again costs a third of the requests
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=30, backlog=2048)
    started(f"http://{options.host}:{listener.getsockname()[1]}")
    try:
        import uvloop
    except ModuleNotFoundError:
        loops: Any = None
    else:
        loops = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(Server(config).serve(sockets=[listener]))
