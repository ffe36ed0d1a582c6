"""LISA: next items from histories of any length, in linear time (Wu et al., WWW 2021, arXiv 2105.14068)."""
