"""Configuration: experiment files, book files, venue facts and rule sets, parsed into records at the door."""

from greekdrift.config.books import load_accounts
from greekdrift.config.experiment import Experiment, evaluation_of, features_of, load_experiment, margin_of
from greekdrift.config.facts import load_rules, load_venue
from greekdrift.config.table import FEATURE_KINDS, FORECASTERS, SOURCES, Component, build, resolve

__all__ = [
    "FEATURE_KINDS",
    "FORECASTERS",
    "SOURCES",
    "Component",
    "Experiment",
    "build",
    "evaluation_of",
    "features_of",
    "load_accounts",
    "load_experiment",
    "load_rules",
    "load_venue",
    "margin_of",
    "resolve",
]
