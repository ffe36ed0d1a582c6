"""How a user's file is read: which columns, which rows, and what becomes of rows that are wrong.

Imports neither torch nor a table library, so that help and checks of options are instant.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from tenfold.deprecated import warn
from tenfold.errors import OptionError
from tenfold.options import option, options

Format = Literal["auto", "csv", "tsv", "jsonl", "parquet", "recbole", "sasrec", "lines", "movielens"]


@options
class ReadOptions:
    """Everything about a file that cannot be seen from the file itself."""

    columns: Annotated[str, option("user=NAME,item=NAME,time=NAME where the names do not say it themselves")] = ""
    where: Annotated[tuple[str, ...], option("rows to keep: event=buy, rating>=4, device!=bot; all must hold")] = ()
    items: Annotated[str, option("file of titles and attributes of items, joined by id")] = ""
    encoding: Annotated[str, option("encoding of text files: utf-8, latin-1, utf-16 ...")] = "utf-8"
    format: Annotated[Format, option("layout of the file; auto looks at its name and its first lines")] = "auto"
    separator: Annotated[
        str, option("separator of columns: ';', '|', tab, space ...; none: told by the first lines")
    ] = ""
    comment: Annotated[str, option("lines that begin with this are comments; none: # and % before the first row")] = ""
    quote: Annotated[
        Literal["auto", "double", "none"],
        option('whether " quotes a field; auto: not in a tab-separated file whose lines are complete without'),
    ] = "auto"
    time_format: Annotated[str, option("format of times that are neither numbers nor ISO 8601: %d/%m/%Y %H:%M ...")] = (
        ""
    )
    on_bad_rows: Annotated[
        Literal["refuse", "report"], option("what a wrong row does: refuse the file, or be left out and reported")
    ] = "refuse"
    deduplicate: Annotated[bool, option("keep only the first of equal rows (user, item, time)")] = False
    require_sorted: Annotated[bool, option("refuse a file in which a user's events are not in order of time")] = False
    min_user_events: Annotated[int, option("leave out users with fewer events, and repeat until none is", ge=0)] = 0
    min_item_events: Annotated[int, option("leave out items with fewer events, and repeat until none is", ge=0)] = 0

    def chosen(self) -> dict[str, Any]:
        """What was set otherwise than usual."""
        usual = asdict(ReadOptions())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    def only(self, *known: str) -> dict[str, Any]:
        """These fields, for a reader that knows no others. Raises OptionError where another one was set."""
        values = asdict(self)
        for name, value in self.chosen().items():
            if name not in known:
                raise OptionError(
                    f"{name} = {value!r} says nothing of such files; what can be said is {', '.join(known)}"
                )
        return {name: values[name] for name in known}


def __getattr__(name: str) -> Any:
    if name == "Reading":
        warn("Reading", "ReadOptions")
        return ReadOptions
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
