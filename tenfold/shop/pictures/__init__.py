"""Pictures of items, drawn from what the catalogue says of them, with the masks of their parts."""
