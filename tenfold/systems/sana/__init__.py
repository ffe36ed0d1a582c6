"""SANA: sketch and refine (Wang et al., Findings of ACL 2021)."""
