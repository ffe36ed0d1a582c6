"""`tenfold serve`: a fitted system as an HTTP service. Read service (what a task gives), batching, app, next_item."""
