"""Hot loops: each stands beside its plain definition, against which it is tested."""
