"""A Python that has imported what is slow to import: its processes are forked from a server, and begin in no time.

python tests/warm.py serve SOCKET [MODULE...]          imports the modules, then forks whoever asks; ends with its input
python -IS tests/warm.py SOCKET PROGRAM [ARGUMENT...]  as python -c PROGRAM: streams, signals, exit code, working folder

The server has run nothing, so a child differs from a fresh process by its imports alone. Of Tenfold nothing is imported
unless asked for: what a command imports, and in what order, is tried in each process anew.
"""

import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback

SLOW = [
    "torch",
    "torch._dynamo",
    "lightning.pytorch",
    "numba",
    "polars",
    "pyarrow.parquet",
    "scipy.stats",
    "matplotlib.pyplot",
    "PIL.Image",
    "pydantic",
    "typer",
    "rich.table",
    "lmdb",
    "safetensors.torch",
    "huggingface_hub",
]


def serve(place, modules):
    """Returns in a child, which has the streams and the folder of who asked, with the program and its arguments."""
    for module in (*SLOW, *modules):
        __import__(module)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place)
    listening.listen()
    gc.freeze()  # a child's collections would otherwise look through, and so copy, all of it
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who watch
    while True:
        heard, *_ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in heard:
            os._exit(0)  # who started the server has gone
        asked, _ = listening.accept()
        if os.fork():
            asked.close()
            continue
        listening.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _, streams, *_ = socket.recv_fds(asked, 1, 3)
        order = json.loads(asked.makefile().readline())
        if child := os.fork():
            watch(asked, child)
        asked.close()
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        return order["program"]


def watch(asked, child):
    """Hands on the signals of who asked, and tells it how the child ended; if it goes away, the child is killed."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
        if select.select([asked], [], [], 0.005)[0]:
            number = asked.recv(1)
            os.kill(child, number[0] if number else signal.SIGKILL)
            if not number:
                os._exit(0)


def ask(place, program):
    """Waits for a child of the server that runs the program, and ends as it did."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(place)
        socket.send_fds(server, [b"."], [0, 1, 2])
        order = {"program": program, "folder": os.getcwd(), "environment": dict(os.environ)}
        server.sendall(json.dumps(order).encode() + b"\n")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        code = int(server.makefile().readline())
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def end(code):
    """As Python ends, but without taking apart what was imported, which would copy all of it: half a second."""
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((code or 0) & 255)


if __name__ == "__main__":
    if sys.argv[1] != "serve":
        ask(sys.argv[1], sys.argv[2:])
    program, *arguments = serve(sys.argv[2], sys.argv[3:])
    sys.argv, sys.path[0] = ["-c", *arguments], ""
    del __file__  # what starts processes of its own would look there for the program
    try:
        exec(compile(program, "<string>", "exec"))
    except SystemExit as told:
        end(told.code)
    except Exception:
        traceback.print_exc()
        end(1)
    end(0)
