"""Traces: spans of OpenTelemetry from a request at the door to the call at the provider, for whoever installed the extra.

Off, OpenTelemetry is not imported, and the stations run without a hook. On, they are given parts that do the same and tell
of it (`stations.py`, `requests.py`): `ids.py` names spans without storage, `spans.py` says what is told, `exporting.py`
sends it, `worker.py` puts it together.
"""
