"""The version, below everything, because runs and artifacts are marked with it."""

VERSION = "0.1.0"
