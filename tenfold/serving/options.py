"""What can be chosen of a service. Imports nothing heavy: the command's flags are made of it."""

from typing import Annotated

from tenfold.options import option, options


@options
class ServeOptions:
    host: Annotated[str, option("address it listens on; 0.0.0.0: all of this machine's")] = "127.0.0.1"
    port: Annotated[int, option("port it listens on; 0: any that is free, told in the first line", ge=0, le=65535)] = (
        8000
    )
    tokens: Annotated[
        str | None, option("file of tokens, one a line; a request must bring one of them; none: open")
    ] = None
    items: Annotated[str, option("file of titles and attributes of items, told in answers and asked by 'where'")] = ""
    max_body: Annotated[int, option("bytes of a request's body", gt=0)] = 1 << 20
    max_waiting: Annotated[int, option("requests that may wait; one more is refused with 503", gt=0)] = 10_000
    max_ahead: Annotated[float, option("seconds by which an event's time may be ahead of the clock", ge=0)] = 86_400.0
    quiet: Annotated[bool, option("no line of JSON on stderr for each request")] = False
