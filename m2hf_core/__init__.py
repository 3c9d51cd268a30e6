"""The library behind M2HF-app: everything a script needs to search videos, and nothing of the window."""

import os

# onnxruntime, which reads text in pictures and finds voices, would give this machine a number and send Microsoft what
# it is used for. Native code does that, out of sight of Python; it looks here once, while it is loaded. The other
# fetches weights and would say with what.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
