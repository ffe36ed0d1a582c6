"""LimaRec: a recommender that learns from every event, online, at constant cost per user (arXiv 2105.14060)."""
