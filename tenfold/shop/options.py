"""What can be chosen about a shop: how large it is, and which one of its size. Imports nothing heavy."""

from typing import Annotated, Literal

from tenfold.errors import OptionError
from tenfold.options import option, options

MOST_CATEGORIES = 24  # as many as traits.py has


@options
class Options:
    seed: Annotated[int, option("which shop of this size: the same seed gives the same values", ge=0, lt=2**63)] = 0
    items: Annotated[int, option("items in the catalogue", ge=1)] = 2_000
    users: Annotated[int, option("customers", ge=1)] = 1_000
    events: Annotated[int, option("views, carts and buys of all customers together", ge=1)] = 200_000
    categories: Annotated[int, option("kinds of things sold", ge=1, le=MOST_CATEGORIES)] = MOST_CATEGORIES
    interests: Annotated[int, option("a customer's at a time, at the fewest; some have up to three more", ge=1)] = 8
    rest: Annotated[float, option("visits after which an interest is likely to return", gt=0)] = 10.0
    pictures: Annotated[int, option("pictures of items, each with the masks of its parts", ge=1)] = 5_000
    pixels: Annotated[Literal[32, 64, 128], option("width and height of a picture, and height of a scene")] = 64
    texts: Annotated[int, option("descriptions of items, each beside its table", ge=1)] = 5_000
    invented: Annotated[float, option("share of texts with a fact that their table does not have", ge=0, le=1)] = 0.1
    scenes: Annotated[int, option("pictures of several items, in twins that differ in one relation", ge=2)] = 2_000
    questions: Annotated[int, option("questions about what customers did", ge=1)] = 2_000
    meetings: Annotated[int, option("gifts and messages between customers", ge=1)] = 20_000
    labels: Annotated[int, option("small pictures for classifiers, in ten classes", ge=10)] = 5_000
    makes: Annotated[int, option("pictures to make, from words, a reference and what is kept", ge=1)] = 500

    def check(self) -> None:
        """What no single option can say. Raises OptionError."""
        if self.categories > self.items:
            raise OptionError(
                f"a shop of {self.items} items cannot have {self.categories} categories; "
                f"raise items or set categories to {self.items} or fewer"
            )
        if self.users > self.events:
            raise OptionError(
                f"{self.events} events are too few for {self.users} users, of whom each has at least one; "
                f"raise events or set users to {self.events} or fewer"
            )
