"""Dashboards, recording rules and alerts as code: `python -m dashboards` writes generated/ anew.

Four tables say everything: slos.py (what is promised), resources.py (what can be full), alerts.py (what is told to whom)
and boards/ (what is shown). rules.py and panels.py bring them into the forms of Prometheus and Grafana.
"""
